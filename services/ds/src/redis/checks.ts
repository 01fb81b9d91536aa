import type { Finding } from '@lmqtt/common/finding';
import type { RedisConnection } from './connection.ts';
import { RedisRefused } from './failure.ts';

interface RedisCheckOptions {
  /** REDIS_DURABILITY=strict: what may lose acknowledged writes is wrong, not a warning. */
  readonly strict: boolean;
}

interface Wanted {
  readonly name: string;
  readonly value: string;
  readonly why: string;
}

const versionName = 'redis version';
const versionMin: readonly [number, number] = [6, 2];

const settings: readonly Wanted[] = [
  { name: 'appendonly', value: 'yes', why: 'sessions are lost when Redis restarts' },
  {
    name: 'appendfsync',
    value: 'always',
    why: 'up to a second of what was acknowledged is lost when its machine stops',
  },
  { name: 'maxmemory-policy', value: 'noeviction', why: 'a full Redis would forget sessions' },
];

/** Asks a Redis, or one server of a Redis Cluster, for what the stores rely on. */
export async function checkRedis(
  connection: RedisConnection,
  { strict }: RedisCheckOptions,
): Promise<Finding[]> {
  const less = strict ? 'wrong' : 'warn';
  const findings = [await checkVersion(connection)];
  for (const wanted of settings) findings.push(await checkSetting(connection, wanted, less));
  findings.push(replicas(connection));
  return findings;
}

/** One line for all that is wrong; undefined: nothing is. */
export function refusalOf(where: string, findings: readonly Finding[]): string | undefined {
  const wrong = findings.filter(({ state }) => state === 'wrong');
  if (wrong.length === 0) return undefined;
  const list = wrong.map(({ name, found, fix }) => `${name} is ${found}: ${fix}`);
  const may = wrong.every(({ name }) => name !== versionName);
  const instead = may ? ' (or set REDIS_DURABILITY=relaxed)' : '';
  return `${where} is not safe for sessions: ${list.join('; ')}${instead}`;
}

async function checkVersion(connection: RedisConnection): Promise<Finding> {
  const name = versionName;
  const wanted = `${versionMin.join('.')} or newer`;
  const text = await asked(connection, 'INFO', 'server');
  const match = /redis_version:(\d+)\.(\d+)\S*/.exec(typeof text === 'string' ? text : '');
  if (match === null) return unknown(name, wanted, 'INFO');
  const [found, major, minor] = [match[0].slice('redis_version:'.length), +match[1]!, +match[2]!];
  const isOld = major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1]);
  const fix = isOld ? `run Redis ${wanted}` : '';
  return { name, state: isOld ? 'wrong' : 'ok', found, wanted, fix };
}

async function checkSetting(
  connection: RedisConnection,
  { name, value, why }: Wanted,
  less: 'wrong' | 'warn',
): Promise<Finding> {
  const reply = await asked(connection, 'CONFIG', 'GET', name);
  const found = Array.isArray(reply) ? reply[1] : undefined;
  if (typeof found !== 'string') return unknown(name, value, 'CONFIG GET');
  if (found === value) return { name, state: 'ok', found, wanted: value, fix: '' };
  const fix = `set \`${name} ${value}\` in redis.conf; ${why}`;
  return { name, state: less, found, wanted: value, fix };
}

function replicas(connection: RedisConnection): Finding {
  const count = connection.replicas;
  const mayFailOver = connection.kind !== 'single';
  const alone = count === 0 && mayFailOver;
  return {
    name: 'redis replicas',
    state: alone ? 'warn' : 'ok',
    found: count === 0 ? 'none' : `${count} (writes wait for one)`,
    wanted: mayFailOver ? '1 or more' : 'any',
    fix: alone ? 'a server without a replica has nobody to take its place' : '',
  };
}

/** Undefined: it is not permitted. */
async function asked(
  connection: RedisConnection,
  command: string,
  ...args: string[]
): Promise<unknown> {
  try {
    return await connection.command(command, ...args);
  } catch (error) {
    // NOPERM by an ACL; `unknown command` where a hoster has renamed or removed it.
    if (error instanceof RedisRefused) return undefined;
    throw error;
  }
}

function unknown(name: string, wanted: string, command: string): Finding {
  const fix = `could not look: permit ${command} for this user, or see to it yourself`;
  return { name, state: 'warn', found: 'unknown', wanted, fix };
}
