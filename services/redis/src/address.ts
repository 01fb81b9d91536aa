/** Addresses of Redis, from REDIS_URL. */
export interface RedisAddress {
  readonly kind: 'single' | 'cluster' | 'sentinel';
  readonly hosts: readonly RedisHost[];
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** Only of `sentinel`. */
  readonly masterName: string | undefined;
}

interface RedisHost {
  readonly host: string;
  readonly port: number;
}

const form = /^redis(s?)(-cluster|-sentinel)?:\/\/(?:([^@/]*)@)?([^/?#@]+)(?:\/([^?#]*))?$/;
const redisPort = 6379;
const sentinelPort = 26379;

/**
 * `redis://[user:password@]host:port[/db]`; `rediss` for TLS. Several hosts with commas are a
 * Redis Cluster, as `redis-cluster://h1:p1,h2:p2` is; `redis-sentinel://h1:p1,h2:p2/master-name`.
 * Throws a line that says what is wrong, without the password.
 */
export function parseRedisUrl(url: string): RedisAddress {
  const match = form.exec(url.trim());
  if (match === null) {
    throw new Error('REDIS_URL is not of the form redis://[user:password@]host:port[/db]');
  }
  const [, s, suffix, login = '', hostList = '', path = ''] = match;
  const names = hostList.split(',');
  const several = suffix === undefined && names.length > 1;
  const kind = several || suffix === '-cluster' ? 'cluster' : suffix ? 'sentinel' : 'single';
  const hosts = names.map((name) => hostOf(name, kind === 'sentinel' ? sentinelPort : redisPort));
  const colon = login.indexOf(':');
  const username = decoded(colon === -1 ? '' : login.slice(0, colon));
  const password = decoded(colon === -1 ? login : login.slice(colon + 1));
  if (kind === 'sentinel' && path === '') {
    throw new Error('REDIS_URL: redis-sentinel:// needs the name of the master: …/master-name');
  }
  if (kind !== 'sentinel' && !/^\d*$/.test(path)) {
    throw new Error(`REDIS_URL: ${path} is not the number of a database`);
  }
  if (kind === 'cluster' && Number(path) !== 0) {
    throw new Error('REDIS_URL: a Redis Cluster has database 0 only');
  }
  return {
    kind,
    hosts,
    tls: s === 's',
    username,
    password,
    database: kind === 'sentinel' ? 0 : Number(path),
    masterName: kind === 'sentinel' ? decodeURIComponent(path) : undefined,
  };
}

/** For people: without user and password. */
export function addressText({ kind, hosts, masterName }: RedisAddress): string {
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(',');
  if (kind === 'single') return `Redis at ${list}`;
  return kind === 'cluster' ? `Redis Cluster at ${list}` : `Redis ${masterName} (Sentinel ${list})`;
}

function hostOf(text: string, portDefault: number): RedisHost {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? portDefault : Number(match[3]);
  if (host === undefined || port < 1 || port > 65535) {
    throw new Error(`REDIS_URL: ${text} is not a host and a port`);
  }
  return { host, port };
}

function decoded(text: string): string | undefined {
  return text === '' ? undefined : decodeURIComponent(text);
}
