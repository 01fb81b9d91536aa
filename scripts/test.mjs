// Runs the tests under node's own runner, then those of the broker as a whole again with cs and ds
// apart (the conformance suites so with CI=true), and with CI=true once more on a real Redis and
// RocketMQ; at last the end-to-end suites of messages on a broker that keeps its queues in RocksDB.
// The list is made from the sources, so that nothing runs whose source is gone.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const minute = 60_000;
const usage = `npm test -- [flags] [PART OF A PATH ...]

Without arguments: everything that is quick, in one process and with cs and ds apart. With CI=true
also what takes long (.ci.test.ts) and the passes on a real Redis and RocketMQ. Arguments keep the
files whose path has one of them in it, those that take long too:

  npm test -- --shape split session

  --shape SHAPE   one pass only: standalone, split, cluster, rocksdb
  --name PATTERN  only tests whose name matches this regular expression
  --quick         without what takes long, with CI=true too
  --fault         the long runs with faults (npm run test:fault)
  --list          print the files of each pass and run nothing
  --watch         run again when a source changes
  --help          this text`;

function readFlags() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        fault: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        name: { type: 'string' },
        quick: { type: 'boolean', default: false },
        shape: { type: 'string' },
        watch: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

const { values: flags, positionals: wanted } = readFlags();
if (flags.help) {
  console.log(usage);
  process.exit(0);
}
const known = ['standalone', 'split', 'cluster', 'rocksdb'];
const onServers = ['cluster', 'rocksdb'];
const byDefault = process.env.CI === 'true' ? known : known.slice(0, 2);
/** A command that names files means those that take long, too. */
const isWhole = !flags.quick && (process.env.CI === 'true' || wanted.length > 0);
const shapes = flags.shape === undefined ? byDefault : known.filter((one) => one === flags.shape);
if (shapes.length === 0) {
  console.error(`--shape is one of ${known.join(', ')}`);
  process.exit(2);
}

function testsIn(folder, ending) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name}`.replaceAll('\\', '/'))
    .filter((path) => path.endsWith(ending))
    .sort();
}

/** `services/cs/test/x.test.ts` is compiled to `services/cs/dist/test/x.test.js`. */
function compiled(path) {
  return path.replace(/^(test|proto|services\/[^/]+)\//, '$1/dist/').replace(/\.ts$/, '.js');
}

const suites = (...names) => names.flatMap((name) => testsIn(`test/${name}`, '.test.ts'));

/** Tests that are the same in both shapes run once. */
function quickTests(shape) {
  if (shape !== 'standalone') {
    const isShort = shape === 'rocksdb' || !isWhole;
    const names = isShort ? ['e2e'] : ['conformance', 'e2e'];
    return suites(...names).filter(
      (path) => !isOfOneForm(path) && !(shape === 'rocksdb' && isOfNoQueues(path)),
    );
  }
  const services = readdirSync(join(root, 'services')).map((name) => `services/${name}/test`);
  return [
    ...['proto/test', ...services].flatMap((folder) => testsIn(folder, '.test.ts')),
    ...suites('harness', 'bench', 'contract', 'conformance', 'e2e'),
    ...testsIn('test/fault', '.quick.test.ts'),
    ...testsIn('test/fault', '.ci.test.ts'),
  ].filter((path) => isWhole || !path.endsWith('.ci.test.ts'));
}

/** These start what they need by themselves, in whatever shape the others run. */
function isOfOneForm(path) {
  return /^test\/e2e\/(nodes|rpc-|deployment|cluster-|doctor)/.test(path);
}

const ofNoQueues = [
  ...['access', 'auth-module', 'certificate', 'client-id-rule', 'clock-set-back', 'damage'],
  ...[
    'denial-logs',
    'embedded',
    'figures',
    'http-auth',
    'java-files',
    'limits',
    'listeners',
    'logs',
  ],
  ...['operation', 'package', 'proxy-protocol', 'reload-fails', 'rest', 'rights'],
  ...['rolling-restart', 'session-users', 'silent-sockets', 'tokens', 'unread-answers', 'users'],
  ...['web-pages', 'will-rights', 'worst-packets', 'wrong-passwords'],
];

/**
 * Files about who may come and do what, what is bounded, and how a node is run and watched: how
 * RocketMQ keeps its queues makes no difference to them. All of them run where they are named.
 */
function isOfNoQueues(path) {
  return (
    wanted.length === 0 && ofNoQueues.some((name) => RegExp(`^test/e2e/${name}[-.s]`).test(path))
  );
}

const stores = { rocksdb: { storeType: 'defaultRocksDB' } };

/** A Redis and a RocketMQ for a whole pass; the tests tell their clusters apart by their ids. */
async function startServers(shape) {
  const load = (file) => import(join(root, 'test/dist/harness', file));
  const { startRedis } = await load('redis/redis-server.js');
  const { startRocketmq } = await load('rocketmq/rocketmq-cluster.js');
  const [redis, rocketmq] = await Promise.all([
    startRedis(),
    startRocketmq({ brokers: [{ sendThreads: 1, heapMb: 1024, ...stores[shape] }] }),
  ]);
  return {
    env: { LMQTT_TEST_REDIS_URL: redis.url, LMQTT_TEST_NAMESRV: rocketmq.namesrv.address },
    close: () => Promise.all([redis.close(), rocketmq.close()]),
  };
}

/** Runs the files; what the tally reporter says of them. */
async function run(shape, files) {
  const servers = onServers.includes(shape) ? await startServers(shape) : undefined;
  try {
    return await runFiles(shape, files, servers?.env);
  } finally {
    await servers?.close();
  }
}

async function runFiles(shape, files, servers) {
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-tests-'));
  const tallyFile = join(folder, 'tally');
  const timesFile = join(folder, 'times');
  const child = spawn(
    process.execPath,
    [
      '--import',
      join(root, 'scripts/end-process.mjs'),
      '--enable-source-maps',
      '--test',
      // Runs of a fault suite measure and disturb: one at a time.
      `--test-concurrency=${flags.fault ? 1 : 2}`,
      `--test-timeout=${(flags.fault ? 60 : 30) * minute}`,
      ...(flags.name === undefined ? [] : [`--test-name-pattern=${flags.name}`]),
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(root, 'scripts/tally-reporter.mjs')}`,
      `--test-reporter-destination=${tallyFile}`,
      ...files.map(compiled),
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        ...servers,
        LMQTT_TEST_SHAPE: servers ? 'cluster' : shape,
        LMQTT_TEST_TIMES: timesFile,
      },
    },
  );
  // Not in the way of servers that run in this process's care.
  const status = await new Promise((resolve) => child.once('close', resolve));
  try {
    const slowest = slowestOf(readFileSync(timesFile, 'utf8'));
    return { shape, status, slowest, ...JSON.parse(readFileSync(tallyFile, 'utf8')) };
  } catch {
    return { shape, status, slowest: [], failed: [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const slowestShown = 15;

/** From lines with the seconds and the path of a file each. */
function slowestOf(text) {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => /^(\d+) (.*)$/.exec(line))
    .filter((found) => found !== null)
    .map(([, seconds, path]) => ({ seconds: Number(seconds), path: relative(root, path) }))
    .sort((one, other) => other.seconds - one.seconds)
    .slice(0, slowestShown);
}

/** Reasons stand once where several tests in a row give the same one. */
function failuresOf({ shape, failed }) {
  return failed.flatMap(({ name, reason }, index) => {
    const isSame = reason === '' || reason === failed[index - 1]?.reason;
    const lines = isSame ? [] : reason.split('\n');
    return [`  ${shape}: ${name}`, ...lines.map((line) => `    | ${line}`)];
  });
}

function summary(results) {
  const lines = results.map(
    ({ shape, tests = 0, pass = 0, skipped = 0, duration_ms = 0, failed }) => {
      const counts = `${pass} of ${tests} passed, ${skipped} skipped, ${failed.length} failed`;
      return `${shape.padEnd(10)} ${counts} (${Math.round(duration_ms / 1000)} s)`;
    },
  );
  const times = results.flatMap(({ shape, slowest }) =>
    slowest.map(({ seconds, path }) => `  ${shape}: ${String(seconds).padStart(4)} s ${path}`),
  );
  return [...lines, 'The slowest files:', ...times, ...results.flatMap(failuresOf)].join('\n');
}

const passes = flags.fault
  ? [{ shape: 'standalone', files: testsIn('test/fault', '.long.test.ts') }]
  : shapes.map((shape) => ({ shape, files: quickTests(shape) }));
const chosen = passes
  .map(({ shape, files }) => ({
    shape,
    files: files.filter(
      (path) => wanted.length === 0 || wanted.some((part) => path.includes(part)),
    ),
  }))
  .filter(({ files }) => files.length > 0);
if (chosen.length === 0) {
  console.error(
    flags.shape === undefined || flags.shape === 'standalone'
      ? 'no test file matches'
      : 'no test file of that shape matches; without --shape, files of all shapes do',
  );
  process.exit(1);
}

async function runAll() {
  const results = [];
  for (const { shape, files } of chosen) results.push(await run(shape, files));
  console.log(`\n${summary(results)}`);
  return results.every(({ status }) => status === 0);
}

/** Resolves a moment after a source has changed, so that an editor has written all of its files. */
function nextChange() {
  return new Promise((resolve) => {
    const folders = ['proto', 'services', 'test'];
    const watchers = folders.map((folder) =>
      watch(join(root, folder), { recursive: true }, (_event, path) => {
        if (!/\.(ts|lua|proto)$/.test(path ?? '') || /(^|\/)(dist|node_modules)\//.test(path))
          return;
        for (const watcher of watchers) watcher.close();
        setTimeout(resolve, 200);
      }),
    );
  });
}

if (flags.list) {
  for (const { shape, files } of chosen) console.log([`${shape}:`, ...files].join('\n  '));
} else if (flags.watch) {
  for (;;) {
    const setUp = spawnSync(process.execPath, [join(root, 'scripts/setup.mjs')], {
      stdio: 'inherit',
    });
    if (setUp.status === 0) await runAll();
    console.log('\nwaiting for a change');
    await nextChange();
  }
} else {
  process.exitCode = (await runAll()) ? 0 : 1;
}
