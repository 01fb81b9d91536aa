import { systemClock } from '@lmqtt/common/clock';
import type { AuthSource } from '@lmqtt/common/auth-sources';
import type { Metrics } from '@lmqtt/common/metrics';
import { LiveSettings } from '@lmqtt/common/settings/live-settings';
import type { Settings } from '@lmqtt/common/settings/row';
import { AccessRules } from './access-rules.ts';
import { Anonymous } from './anonymous.ts';
import type { Authenticator, AuthProvider } from './auth-provider.ts';
import { AuthFailures } from './auth-failures.ts';
import { AuthChain } from './chain.ts';
import { CertificateUsers } from './certificate-users.ts';
import type { EnhancedAuth } from './enhanced-auth.ts';
import { type AuthGuard, GuardedAuth, GuardedEnhancedAuth } from './guarded-auth.ts';
import { HttpAuth, httpOutcomes } from './http/http-auth.ts';
import { parseClaims } from './jwt/claims.ts';
import { JsonWebToken } from './jwt/json-web-token.ts';
import { KeyFile, KeySetUrl, type JwtKeys, SecretKey } from './jwt/jwt-keys.ts';
import { FromSources } from './from-sources.ts';
import { HookCalls, hookOutcomes } from '../hooks/hook-calls.ts';
import { hookNames } from '../hooks/hooks.ts';
import { AuthModule, type ModuleFunctions } from './module/auth-module.ts';
import { HmacSha1 } from './hmac-sha1.ts';
import { openUserHashes } from '../redis/user-hashes.ts';
import { RedisUsers, redisUsersOutcomes } from './redis/redis-users.ts';
import { PasswordFile } from './password-file.ts';
import type { ReloadOptions } from './reloaded-file.ts';
import { Scram } from './scram.ts';

export interface OpenAuth {
  readonly provider: AuthProvider;
  readonly enhanced: EnhancedAuth[];
  /** Hooks of AUTH_MODULE or of who embeds the broker; undefined: there are none. */
  readonly hooks: HookCalls | undefined;
  close(): void;
}

interface AuthOptions {
  readonly settings: Settings;
  /** Whether P2P is on where it is not set. */
  readonly p2p: boolean;
  /** Settings that change while the program runs. */
  readonly live?: LiveSettings | undefined;
  readonly metrics: Metrics;
  readonly report: ReloadOptions['report'];
  readonly events: AuthEvents;
  /** Functions in place of a module of AUTH_MODULE. */
  readonly functions?: ModuleFunctions | undefined;
}

/** Servers that users come from: each is told when it is away, and when it is back. */
interface AuthEvents {
  keySet(url: string, problem: string | undefined): void;
  httpAuth(url: string, problem: string | undefined): void;
  authModule(name: string, problem: string): void;
  hook(name: string, problem: string): void;
  redisUsers(problem: string | undefined): void;
}

const keySetTimeoutMs = 5000;

/** The chain that the settings ask for. */
export async function openAuth(options: AuthOptions): Promise<OpenAuth> {
  const { settings, metrics, report } = options;
  let authenticators: Authenticator[] = [];
  const sources: AuthSource[] = [];
  const add = (source: AuthSource, authenticator: Authenticator): void => {
    sources.push(source);
    authenticators.push(new FromSources([source], authenticator));
  };
  let rules: AccessRules | undefined;
  let accounts: PasswordFile | undefined;
  const enhanced: EnhancedAuth[] = [];
  const closing: (() => void)[] = [];
  const guard = guardOf(settings, metrics);
  // Nobody can try out certificates and signatures, so that their failures lock nobody out.
  const proven: Authenticator[] = [];
  proven.push(new CertificateUsers(settings.certUser !== 'none'));
  const token = await openJwt(options, closing);
  if (token !== undefined) {
    proven.push(new FromSources(['token'], token));
    enhanced.push(token);
  }
  // A wrong password under this name is passed on, and costs what that of an unknown user costs.
  if (settings.hmacUsername !== null) {
    const live = options.live ?? new LiveSettings(settings);
    add('hmac', new HmacSha1(() => live.values));
  }
  if (settings.passwordFile !== null) {
    const file = await PasswordFile.open(settings.passwordFile, {
      usersMax: settings.maxUsers,
      waitingMax: settings.authChecksWaitingMax,
      onFull: () => {
        metrics.limits.AUTH_CHECKS_WAITING_MAX += 1;
      },
      report,
    });
    metrics.gauge(
      'lmqtt_auth_checks_waiting',
      'CONNECTs whose passwords wait to be checked',
      () => file.waiting,
    );
    add('password', file);
    accounts = file;
    for (const hash of ['sha256', 'sha512'] as const)
      enhanced.push(new GuardedEnhancedAuth(new Scram(hash, file), guard));
    closing.push(() => file.close());
  }
  const redis = openRedisUsers(options, closing);
  if (redis !== undefined) add('redis', redis);
  const module = await openModule(options, closing);
  const http = openHttp(options);
  if (http !== undefined) add('http', http);
  const asked = module?.functions.authenticate === undefined ? undefined : module;
  if (asked !== undefined && settings.authModuleAt === 'last') add('module', asked);
  // One guard stands before all that check passwords, so that failures count once, whichever of
  // them refuses.
  if (authenticators.length > 0)
    authenticators = [
      new FromSources(sources, new GuardedAuth(new AuthChain(authenticators), guard)),
    ];
  if (asked !== undefined && settings.authModuleAt === 'first')
    proven.unshift(new FromSources(['module'], asked));
  // Certificates give names only where CERT_USER says so.
  const checksNames =
    authenticators.length > 0 || proven.length > 1 || settings.certUser !== 'none';
  authenticators.unshift(...proven);
  const { allowAnonymous } = settings;
  const from = allowAnonymous === true ? 'anywhere' : allowAnonymous || 'nobody';
  authenticators.push(new Anonymous(!checksNames, from));
  if (settings.aclFile !== null) {
    const file = await AccessRules.open(settings.aclFile, { report });
    rules = file;
    closing.push(() => file.close());
  }
  return {
    provider: new AuthChain(authenticators, {
      rules,
      accounts,
      module: module?.functions.authorise === undefined ? undefined : module,
      bridgeState: settings.bridgeState,
      p2p: settings.p2p ?? options.p2p,
    }),
    enhanced,
    hooks: module && hooksOf(options, module.functions),
    close: () => {
      for (const close of closing) close();
    },
  };
}

async function openModule(
  { settings, metrics, events, functions }: AuthOptions,
  closing: (() => void)[],
): Promise<AuthModule | undefined> {
  if (settings.authModule === null && functions === undefined) return undefined;
  const failures = metrics.counters(
    'lmqtt_auth_module_failures_total',
    'Functions of AUTH_MODULE that threw, or gave no answer in time',
    'function',
    ['authenticate', 'authorise'],
  );
  const moduleOptions = {
    timeoutMs: settings.authModuleTimeoutMs,
    failed: (name: 'authenticate' | 'authorise', problem: string) => {
      failures[name] += 1;
      events.authModule(name, problem);
    },
  };
  const module =
    functions === undefined
      ? await AuthModule.open(settings.authModule ?? '', moduleOptions)
      : new AuthModule(functions, moduleOptions);
  closing.push(() => module.close());
  return module;
}

/** Hooks with their budget; undefined: the functions have none. */
function hooksOf(
  { settings, metrics, events }: AuthOptions,
  functions: ModuleFunctions,
): HookCalls | undefined {
  if (hookNames.every((name) => functions[name] === undefined)) return undefined;
  const counts = hookNames.flatMap((hook) =>
    hookOutcomes.map((outcome) => ({ labels: { hook, outcome }, value: 0 })),
  );
  metrics.countersBy(
    'lmqtt_hooks_total',
    'Calls of hooks, by what came of them',
    'hook',
    'outcome',
    () => counts,
  );
  const calls = new HookCalls(functions, {
    timeoutMs: settings.hookTimeoutMs,
    atOnce: settings.hooksAtOnce,
    counted: (hook, outcome) => {
      const at = hookNames.indexOf(hook) * hookOutcomes.length + hookOutcomes.indexOf(outcome);
      counts[at]!.value += 1;
    },
    failed: (hook, problem) => events.hook(hook, problem),
    onFull: () => {
      metrics.limits.HOOKS_AT_ONCE += 1;
    },
  });
  metrics.gauge('lmqtt_hooks_under_way', 'Hooks whose answers are awaited', () => calls.underWay);
  return calls;
}

async function openJwt(
  { settings, report, events }: AuthOptions,
  closing: (() => void)[],
): Promise<JsonWebToken | undefined> {
  const { jwtSecret, jwtKeyFile, jwtKeysUrl } = settings;
  if (jwtSecret === null && jwtKeyFile === null && jwtKeysUrl === null) return undefined;
  const publicKeys: JwtKeys[] = [];
  if (jwtKeyFile !== null) {
    const file = await KeyFile.open(jwtKeyFile, { report });
    publicKeys.push(file);
    closing.push(() => file.close());
  }
  if (jwtKeysUrl !== null) {
    const told = (problem: string | undefined): void => events.keySet(jwtKeysUrl, problem);
    const times = { timeoutMs: keySetTimeoutMs, ageMsMax: settings.jwtKeysAgeS * 1000 };
    publicKeys.push(new KeySetUrl(jwtKeysUrl, { ...times, report: told }));
  }
  return new JsonWebToken({
    secret: jwtSecret === null ? undefined : new SecretKey(jwtSecret),
    publicKeys,
    from: settings.jwtFrom,
    userClaim: settings.jwtUserClaim.split('.'),
    wanted: parseClaims(settings.jwtClaims ?? '') ?? [],
    rulesClaim: settings.jwtAclClaim.split('.'),
    toleranceS: settings.jwtClockToleranceS,
  });
}

function openRedisUsers(
  { settings, metrics, events }: AuthOptions,
  closing: (() => void)[],
): RedisUsers | undefined {
  const { authRedisPrefix: prefix } = settings;
  const url = settings.authRedisUrl ?? settings.redisUrl;
  if (prefix === null || url === null) return undefined;
  const asked = metrics.counters(
    'lmqtt_auth_redis_total',
    'CONNECTs whose users were looked for at AUTH_REDIS_PREFIX, by their outcome',
    'outcome',
    redisUsersOutcomes,
  );
  const hashes = openUserHashes({
    ...{ url, prefix, timeoutMs: settings.authRedisTimeoutMs },
    ...{ tlsCa: settings.redisTlsCa, tlsCert: settings.redisTlsCert, tlsKey: settings.redisTlsKey },
  });
  closing.push(hashes.close);
  return new RedisUsers({
    read: hashes.read,
    keptMs: settings.authRedisKeptS * 1000,
    waitingMax: settings.authChecksWaitingMax,
    whenAway: settings.authRedisWhenAway,
    clock: systemClock,
    onFull: () => {
      metrics.limits.AUTH_CHECKS_WAITING_MAX += 1;
    },
    asked: (outcome) => {
      asked[outcome] += 1;
    },
    report: (problem) => events.redisUsers(problem),
  });
}

function openHttp({ settings, metrics, events }: AuthOptions): HttpAuth | undefined {
  const { authHttpUrl: url } = settings;
  if (url === null) return undefined;
  const help = 'Questions to AUTH_HTTP_URL, by their outcome';
  const asked = metrics.counters('lmqtt_auth_http_total', help, 'outcome', httpOutcomes);
  const http: HttpAuth = new HttpAuth({
    url,
    body: settings.authHttpBody,
    token: settings.authHttpToken,
    timeoutMs: settings.authHttpTimeoutMs,
    atOnce: settings.authHttpAtOnce,
    waitingMax: settings.authChecksWaitingMax,
    keptMs: settings.authHttpKeptS * 1000,
    whenAway: settings.authHttpWhenAway,
    clock: systemClock,
    onFull: () => {
      metrics.limits.AUTH_CHECKS_WAITING_MAX += 1;
    },
    asked: (outcome) => {
      asked[outcome] += 1;
    },
    report: (problem) => events.httpAuth(url, problem),
  });
  metrics.gauge(
    'lmqtt_auth_http_waiting',
    'Questions to AUTH_HTTP_URL that wait for their turn',
    () => http.waiting,
  );
  return http;
}

function guardOf(settings: Settings, metrics: Metrics): AuthGuard {
  const limits = {
    perAddress: settings.authFailuresPerAddress,
    perUser: settings.authFailuresPerUser,
  };
  return {
    failures: new AuthFailures(limits, systemClock),
    refused: (limit) => {
      if (limit === 'user') metrics.limits.AUTH_FAILURES_PER_USER += 1;
      else metrics.limits.AUTH_FAILURES_PER_ADDRESS += 1;
    },
  };
}
