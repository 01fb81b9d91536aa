// Programs that some suites need. Where one is absent its tests are skipped with a line that says
// what to install, except under CI, where that is an error.
import { spawnSync } from 'node:child_process';
import { findProgram } from './programs.ts';
import { jarsAreCached, wantedVersion } from './rocketmq/jars.ts';

const packageOf: Record<string, string> = {
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  mosquitto_sub: 'mosquitto-clients',
  mosquitto_rr: 'mosquitto-clients',
  openssl: 'openssl',
  haproxy: 'haproxy',
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  java: 'openjdk-17-jre-headless',
  mvn: 'maven',
};

const javaMin = 17;

/** Test options: `test('…', requirePrograms('mosquitto_pub', 'mosquitto_sub'), async () => …)`. */
export function requirePrograms(...names: string[]): Requirement {
  return requirement(names.filter((name) => findProgram(name) === undefined));
}

export interface Requirement {
  readonly skip: string | false;
}

function requirement(missing: readonly string[]): Requirement {
  if (missing.length === 0) return { skip: false };
  const install = [...new Set(missing.map((name) => packageOf[name] ?? name))].join(' ');
  const line = `${missing.join(', ')} not found; install ${install} (apt-get install ${install})`;
  if (process.env['CI'] === 'true') throw new Error(line);
  return { skip: line };
}

/** Requirement of suites that start a Redis. */
export function requireRedis(): Requirement {
  return requirePrograms('redis-server', 'redis-cli');
}

/** 0: there is none. */
function javaVersion(): number {
  const java = findProgram('java');
  if (java === undefined) return 0;
  const { stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
}

/** Requirement of suites that start a RocketMQ. Maven only fetches what is not in the cache yet. */
export function requireRocketmq(): Requirement {
  const needsMaven = !jarsAreCached(wantedVersion()) && findProgram('mvn') === undefined;
  return requirement([
    ...(javaVersion() < javaMin ? ['java'] : []),
    ...(needsMaven ? ['mvn'] : []),
  ]);
}
