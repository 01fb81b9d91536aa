// A whole cluster in the foreground, without containers.
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { setUpAll } from './checkout.mjs';
import { Foreground } from './foreground.mjs';

const title = 'dev:cluster';
const usage = `npm run dev:cluster -- [--data-dir data-cluster] [further settings, of all ds and cs]

Redis, RocketMQ with its proxy, two ds and two cs in the foreground, without containers. When all of
it serves, stdout gets one line: \`ready\`, where each listens, and the process ids. What the processes
say goes to stderr. Ctrl-C stops all of them, and so does the end of any; pressed again, it kills them
(a RocketMQ broker takes 10 to 20 s to stop).

Ports by environment, 0 for any free one:
  LMQTT_MQTT_PORT  1883  of cs-1; cs-2 has the next     LMQTT_REDIS_PORT    6380
  LMQTT_WS_PORT    8888  likewise                       LMQTT_NAMESRV_PORT  9876
  LMQTT_RPC_PORT   7010  of ds-1; ds-2 has the next     LMQTT_BROKER_PORT   10911, and 10909, 10912
  LMQTT_OPS_PORT   9091  of ds-1; then ds-2, cs-1, cs-2 LMQTT_PROXY_PORT    8081, and the next
LMQTT_ROCKETMQ_VERSION: 5.5.0; releases that have no proxy in the repository run without.
`;
const nodes = 2;
const shownCharacters = 2000;

function fail(line) {
  console.error(`${title}: ${line}`);
  process.exit(2);
}

const further = process.argv.slice(2);
if (further.includes('--help') || further.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
let dataDir = 'data-cluster';
const at = further.findIndex((arg) => /^--data-dir(=|$)/.test(arg));
if (at !== -1) {
  const [flag] = further.splice(at, 1);
  dataDir = flag.includes('=') ? flag.slice(flag.indexOf('=') + 1) : further.splice(at, 1)[0];
  if (!dataDir) fail('--data-dir needs a folder');
}
const folder = resolve(dataDir);

/** The port of the nth process that has such a one, from 0. */
function port(name, fallback, index = 0) {
  const given = process.env[`LMQTT_${name}_PORT`] ?? String(fallback);
  if (!/^\d{1,5}$/.test(given)) fail(`LMQTT_${name}_PORT must be a port, not ${given}`);
  return given === '0' ? 0 : Number(given) + index;
}
const ports = {
  redis: port('REDIS', 6380),
  namesrv: port('NAMESRV', 9876),
  broker: port('BROKER', 10911),
  proxy: port('PROXY', 8081),
};
const ofDs = (index) => ({ rpc: port('RPC', 7010, index), ops: port('OPS', 9091, index) });
const ofCs = (index) => ({
  mqtt: port('MQTT', 1883, index),
  ws: port('WS', 8888, index),
  ops: port('OPS', 9091, nodes + index),
});
const each = Array.from({ length: nodes }, (_, index) => index);

setUpAll();
const settingsModule = '../services/common/dist/src/settings/read.js';
const { flagsToPassOn } = await import(join(import.meta.dirname, settingsModule));
let flagsOfAll = [];
try {
  flagsOfAll = flagsToPassOn({ args: further, environment: process.env }, process.cwd());
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
const harness = join(import.meta.dirname, '../test/dist/harness');
const load = (file) => import(join(harness, file));
const { findProgram } = await load('programs.js');
const { isFree, freePort, freePorts } = await load('free-port.js');
const { hasProxy, jarsAreCached, wantedVersion } = await load('rocketmq/jars.js');
const { layOutRocketmq } = await load('rocketmq/rocketmq-cluster.js');
const { RedisServer } = await load('redis/redis-server.js');
const { parseAddresses } = await load('process.js');

const version = wantedVersion();
const withProxy = hasProxy(version);

/** The servers are told apart from what else may listen, before any of them starts. */
async function checkMachine() {
  const packages = { 'redis-server': 'redis-server', java: 'openjdk-17-jre-headless' };
  if (!jarsAreCached(version)) packages.mvn = 'maven';
  const missing = Object.keys(packages).filter((name) => findProgram(name) === undefined);
  if (missing.length > 0) {
    const install = missing.map((name) => packages[name]).join(' ');
    fail(`${missing.join(', ')} not found; apt-get install ${install}`);
  }
  const wanted = [
    ...[
      ['REDIS', ports.redis],
      ['NAMESRV', ports.namesrv],
    ],
    ...(ports.broker === 0 ? [] : [-2, 0, 1].map((more) => ['BROKER', ports.broker + more])),
    ...(withProxy && ports.proxy !== 0 ? [0, 1].map((more) => ['PROXY', ports.proxy + more]) : []),
    ...each.flatMap((index) => Object.entries(ofDs(index))),
    ...each.flatMap((index) => Object.entries(ofCs(index))),
  ];
  for (const [name, wantedPort] of wanted) {
    if (wantedPort === 0 || (await isFree(wantedPort))) continue;
    fail(`port ${wantedPort} is in use; set LMQTT_${name.toUpperCase()}_PORT to another, or 0`);
  }
}
await checkMachine();

const foreground = new Foreground(title, 'broker-a'.length, console.error);
/** The last row ends first: cs take leave of ds, and these of the servers. */
const rows = { server: 0, ds: 1, cs: 2 };

async function startServer(server) {
  console.error(`${title}: ${server.name} starts`);
  const starting = server.start();
  foreground.add(rows.server, server.name, {
    // It rejects where the program cannot be run at all; `start` says so.
    ended: server.exited.catch(() => null),
    stop: () => server.stop(),
    kill: () => void server.kill9(),
    lastWords: () => server.logs().slice(-shownCharacters),
  });
  await starting;
}

async function startServers() {
  mkdirSync(folder, { recursive: true });
  const redisPort = ports.redis || (await freePort());
  const redis = new RedisServer(redisPort, { folder: join(folder, 'redis') });
  if (!jarsAreCached(version)) console.error(`${title}: Maven fetches RocketMQ ${version}`);
  const rocketmq = await layOutRocketmq({
    version,
    folder: join(folder, 'rocketmq'),
    proxy: withProxy,
    namesrvPort: ports.namesrv || (await freePort()),
    proxyPort: ports.proxy || (await freePorts(2)),
    // As the compose file and the chart have it: a lane may pipeline.
    brokers: [{ port: ports.broker || (await freePorts(4)) + 2, sendThreads: 1 }],
  });
  const { namesrv, brokers, proxy } = rocketmq;
  await Promise.all([redis, namesrv, ...brokers].map(startServer));
  if (proxy !== undefined) await startServer(proxy);
  return { redis, rocketmq };
}

const secret = randomBytes(16).toString('hex');
const { PATH, HOME, LMQTT_LOG_LEVEL = 'warn' } = process.env;

/** A ds or cs in a folder of its own, with an environment that says nothing of ours. */
async function startNode(command, index, listeners, settings) {
  const name = `${command}-${index + 1}`;
  const cwd = join(folder, name);
  mkdirSync(cwd, { recursive: true });
  const flags = [
    ...['--node-id', name, ...settings],
    ...Object.entries(listeners).flatMap(([kind, number]) => [`--${kind}-port`, String(number)]),
    ...flagsOfAll,
  ];
  const env = { PATH, HOME, LMQTT_LOG_LEVEL, LMQTT_CLUSTER_SECRET: secret };
  const { pid, ready } = foreground.start(rows[command], name, command, flags, { cwd, env });
  const addresses = parseAddresses((await ready).replace(/^ready /, ''));
  const said = [...addresses].map(([kind, { host, port }]) => `${name}.${kind}=${host}:${port}`);
  return [...said, `${name}.pid=${pid}`];
}

async function start() {
  const { redis, rocketmq } = await startServers();
  const redisFlags = ['--redis-url', redis.url];
  const ds = await Promise.all(
    each.map((index) =>
      startNode('ds', index, ofDs(index), [
        ...[...redisFlags, '--namesrv-addr', rocketmq.namesrv.address],
        ...(rocketmq.proxy === undefined ? [] : ['--rocketmq-proxy', rocketmq.proxy.address]),
      ]),
    ),
  );
  const cs = await Promise.all(
    each.map((index) => startNode('cs', index, ofCs(index), redisFlags)),
  );
  const servers = [redis, ...rocketmq.servers].map(
    ({ name, address, pid }) => `${name}=${address} ${name}.pid=${pid}`,
  );
  return ['ready', ...servers, ...ds.flat(), ...cs.flat()].join(' ');
}

try {
  const line = await start();
  if (!foreground.isStopping) console.log(line);
} catch (error) {
  if (!foreground.isStopping) {
    console.error(`${title}: ${error instanceof Error ? error.message : String(error)}`);
    await foreground.stop(1);
  }
}
