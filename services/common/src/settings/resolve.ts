// Rules between settings, and defaults that follow from other settings.
import { randomBytes } from 'node:crypto';

import { ClientIdRule } from '../client-id-rule.ts';
import { isLoopback } from '../loopback.ts';
import { mountProblem } from '../mount.ts';
import { networksOf } from '../networks.ts';
import { readListeners } from './listeners-file.ts';
import { SettingsError } from './parse.ts';
import type {
  AnonymousClients,
  ListenerSettings,
  ProgramName,
  RawSettings,
  Settings,
  WebPages,
} from './row.ts';

/** RFC 7518, section 3.2: a key of HS256 has as many bytes as its hash. */
const jwtSecretBytesMin = 32;

/** Throws `SettingsError`. What only another program reads is not looked at. */
export function resolveSettings(
  raw: RawSettings,
  program: ProgramName,
  notes: readonly string[] = [],
): Settings {
  if (program !== 'ds') checkListeners(raw);
  checkClientIdRule(raw.clientIdRule);
  if (program !== 'cs') checkAuthentication(raw);
  if (program !== 'cs') checkCluster(raw);
  if (program === 'cs') checkLinkOfCs(raw);
  else if (program === 'ds' || raw.redisUrl !== null) checkLinkOfDs(raw);
  if (raw.nodeId?.includes('@') === true) throw new SettingsError('NODE_ID cannot have an @');
  const listeners =
    program === 'ds' || raw.listeners === null ? [] : readListeners(raw.listeners, raw);
  const allowAnonymous = resolveAnonymous(raw, program, listeners);
  const isOpen = program === 'cs' || allowAnonymous !== false;
  return {
    ...raw,
    notes,
    listeners,
    nodeId: raw.nodeId ?? nodeIdOf(raw, program),
    allowAnonymous,
    webPages: resolveWebPages(raw.wsOrigins, isOpen && isLoopback(raw.bind)),
  };
}

/** Web pages that may open a WebSocket of a listener of the file. */
export function webPagesOf(listener: ListenerSettings): WebPages {
  const { authentication, bind, wsOrigins } = listener;
  const isOpen = authentication === undefined || authentication.includes('anonymous');
  return resolveWebPages(wsOrigins, isOpen && isLoopback(bind));
}

function checkListeners(raw: RawSettings): void {
  if ((raw.mqttTlsPort !== null || raw.wssPort !== null) && !(raw.tlsCert && raw.tlsKey)) {
    throw new SettingsError('MQTT_TLS_PORT and WSS_PORT need TLS_CERT and TLS_KEY');
  }
  if (raw.tlsClientCert !== 'none' && raw.tlsCa === null) {
    throw new SettingsError(`TLS_CLIENT_CERT ${raw.tlsClientCert} needs TLS_CA`);
  }
  if (raw.tlsCrl !== null && raw.tlsClientCert === 'none') {
    throw new SettingsError('TLS_CRL needs TLS_CLIENT_CERT required or optional, and TLS_CA');
  }
  if (raw.certUser !== 'none' && raw.tlsClientCert === 'none') {
    throw new SettingsError(`CERT_USER ${raw.certUser} needs TLS_CLIENT_CERT required or optional`);
  }
  if (raw.proxyProtocolFrom !== null && networksOf(raw.proxyProtocolFrom) === undefined) {
    throw new SettingsError(
      `PROXY_PROTOCOL_FROM must be addresses or networks such as 10.0.0.0/8, not "${raw.proxyProtocolFrom}"`,
    );
  }
  if (!raw.wsPath.startsWith('/')) throw new SettingsError('WS_PATH must begin with /');
  const problem = raw.mount === null ? undefined : mountProblem(raw.mount);
  if (problem !== undefined) throw new SettingsError(`MOUNT "${raw.mount}": ${problem}`);
}

function checkClientIdRule(text: string | null): void {
  if (text === null || ClientIdRule.parse(text) !== undefined) return;
  throw new SettingsError(
    `CLIENT_ID_RULE must have %u for the user name and at most one * for any text, not "${text}"`,
  );
}

function checkAuthentication(raw: RawSettings): void {
  if (raw.clientIdRule !== null && !checksNames(raw)) {
    throw new SettingsError(
      'CLIENT_ID_RULE needs users whose names are checked: give PASSWORD_FILE, or another source of users',
    );
  }
  checkIdentities(raw);
  if ((raw.hmacUsername === null) !== (raw.hmacSecretKey === null)) {
    throw new SettingsError('HMAC_USERNAME and HMAC_SECRET_KEY are given together or not at all');
  }
}

function checkLinkPair(raw: RawSettings): void {
  if ((raw.rpcTlsCert === null) !== (raw.rpcTlsKey === null)) {
    throw new SettingsError('RPC_TLS_CERT and RPC_TLS_KEY are given together or not at all');
  }
}

function checkLinkOfCs(raw: RawSettings): void {
  checkLinkPair(raw);
  if (raw.rpcTlsCert !== null && raw.rpcTlsCa === null) {
    throw new SettingsError('RPC_TLS_CERT needs RPC_TLS_CA, which ds is checked against');
  }
}

function checkLinkOfDs(raw: RawSettings): void {
  checkLinkPair(raw);
  if (raw.rpcPort === null) throw new SettingsError('RPC_PORT cannot be off: cs nodes come there');
  if (raw.rpcTlsCrl !== null && raw.rpcTlsCa === null) {
    throw new SettingsError('RPC_TLS_CRL needs RPC_TLS_CA');
  }
  if (raw.rpcTlsCa !== null && raw.rpcTlsCert === null) {
    throw new SettingsError('RPC_TLS_CA needs RPC_TLS_CERT and RPC_TLS_KEY');
  }
  if (!isLoopback(raw.rpcBind) && raw.clusterSecret === null && raw.rpcTlsCa === null) {
    throw new SettingsError(
      `RPC_BIND ${raw.rpcBind} is reachable from outside and any cs would be believed: ` +
        'give CLUSTER_SECRET, or RPC_TLS_CA with RPC_TLS_CERT and RPC_TLS_KEY',
    );
  }
}

function checkCluster(raw: RawSettings): void {
  if ((raw.namesrvAddr === null) !== (raw.redisUrl === null)) {
    const [given, missing] =
      raw.redisUrl === null ? ['NAMESRV_ADDR', 'REDIS_URL'] : ['REDIS_URL', 'NAMESRV_ADDR'];
    throw new SettingsError(
      `${given} is given and ${missing} is not: RocketMQ has the messages and Redis the sessions, and ` +
        `one is of no use without the other; with neither (unset ${given}) all is kept in DATA_DIR`,
    );
  }
  if ((raw.rocketmqAccessKey === null) !== (raw.rocketmqSecretKey === null)) {
    throw new SettingsError(
      'ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY are given together or not at all',
    );
  }
}

/** A program without state of its own needs no name under which to come back. */
function nodeIdOf(raw: RawSettings, program: ProgramName): string {
  if (program === 'cs' || raw.redisUrl !== null)
    return `${program}-${randomBytes(4).toString('hex')}`;
  return program;
}

/** A page that anybody wrote runs on this machine as well; where a client needs no name, it would be let in. */
function resolveWebPages(origins: string | null, isOpenHere: boolean): WebPages {
  if (origins === null) return isOpenHere ? 'local' : 'any';
  const listed = origins.split(',').map((each) => each.trim());
  if (listed.includes('*')) return 'any';
  for (const each of listed) {
    const origin = URL.canParse(each) ? new URL(each) : undefined;
    if (origin !== undefined && origin.host !== '' && each === `${origin.protocol}//${origin.host}`)
      continue;
    throw new SettingsError(
      `WS_ORIGINS: "${each}" is no origin: it is written as https://app.example.com, with a port ` +
        'where it is not the usual one, and nothing behind it',
    );
  }
  return listed;
}

/** Whether there is a source of users. */
function checksNames(raw: RawSettings): boolean {
  const sources = [
    ...[raw.passwordFile, raw.hmacUsername, raw.authHttpUrl, raw.authRedisPrefix],
    ...[raw.jwtSecret, raw.jwtKeyFile, raw.jwtKeysUrl, raw.authModule],
  ];
  return raw.certUser !== 'none' || sources.some((one) => one !== null);
}

function checkIdentities(raw: RawSettings): void {
  if (raw.jwtSecret !== null && Buffer.byteLength(raw.jwtSecret) < jwtSecretBytesMin) {
    throw new SettingsError(`JWT_SECRET has fewer than ${jwtSecretBytesMin} bytes: make it longer`);
  }
  if (raw.jwtClaims !== null && /(^|\s)[=.]|\.[.=]|\.(\s|$)/.test(raw.jwtClaims)) {
    throw new SettingsError('JWT_CLAIMS must be claims such as `iss=https://id.example aud=mqtt`');
  }
  if (raw.certUserPattern !== null && raw.certUserPattern.split('%u').length !== 2) {
    throw new SettingsError('CERT_USER_PATTERN must have %u once, for the user name');
  }
  checkAddress('JWT_KEYS_URL', raw.jwtKeysUrl);
  checkAddress('AUTH_HTTP_URL', raw.authHttpUrl);
  if (raw.authRedisPrefix !== null && raw.authRedisUrl === null && raw.redisUrl === null)
    throw new SettingsError('AUTH_REDIS_PREFIX needs AUTH_REDIS_URL or REDIS_URL');
  if (raw.authHttpBody === null) return;
  try {
    JSON.parse(raw.authHttpBody);
  } catch {
    throw new SettingsError('AUTH_HTTP_BODY must be JSON, with %u and others within its texts');
  }
}

function checkAddress(name: string, text: string | null): void {
  if (text === null) return;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return;
  throw new SettingsError(`${name} must be an address that begins with https:// or http://`);
}

/** Closed unless somebody said otherwise, or nobody but this machine can come. */
function resolveAnonymous(
  raw: RawSettings,
  program: ProgramName,
  listeners: readonly ListenerSettings[],
): AnonymousClients {
  if (raw.allowAnonymous !== null) return raw.allowAnonymous;
  if (checksNames(raw)) return false;
  // ds lets clients in, not cs.
  if (program === 'cs') return false;
  const open = listeners.find((one) => one.authentication === undefined && !isLoopback(one.bind));
  const [name, bind] =
    program === 'ds'
      ? ['RPC_BIND', raw.rpcBind]
      : open === undefined
        ? ['BIND', raw.bind]
        : [`bind of ${open.name} in LISTENERS`, open.bind];
  // A ds does not see where its cs nodes listen, but where each client comes from.
  if (isLoopback(bind)) return program === 'ds' || raw.redisUrl !== null ? 'loopback' : true;
  throw new SettingsError(
    `${name} ${bind} is reachable from outside and there is no authentication: ` +
      'give PASSWORD_FILE (or another source of users), ' +
      'or let everyone in with --allow-anonymous true ' +
      '(LMQTT_ALLOW_ANONYMOUS=true in the environment)',
  );
}
