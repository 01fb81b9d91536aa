// Brings a checkout to the point where its programs run: packages installed when the lock has
// changed, and when a source has changed everything compiled, compiled files of deleted sources
// removed. What it runs speaks on stderr, so that stdout is the program's own. Where nothing is to
// be done nothing is written, so that a checkout of somebody else's runs too.
import './node-version.mjs';

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const read = (file) => readFileSync(join(root, file), 'utf8');

function run(command, args) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** Says in one line why this checkout cannot be set up, and ends the process. */
function fail(line) {
  console.error(`lmqtt: ${line}`);
  process.exit(1);
}

const installStamp = join(root, 'node_modules', '.setup-stamp');

function installKey() {
  const hash = createHash('sha256');
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(read(file));
  }
  return hash.digest('hex');
}

function isInstalled() {
  return existsSync(installStamp) && readFileSync(installStamp, 'utf8') === installKey();
}

function install() {
  if (isInstalled()) return;
  const key = installKey();
  const pnpm = JSON.parse(read('package.json')).packageManager.split('+')[0];
  // A tree that `npm install` has made cannot be shared with pnpm.
  if (existsSync(join(root, 'node_modules', '.package-lock.json'))) {
    rmSync(join(root, 'node_modules'), { recursive: true });
  }
  run('npx', ['--yes', pnpm, 'install', '--frozen-lockfile', '--config.confirmModulesPurge=false']);
  writeFileSync(installStamp, key);
}

/**
 * The compiler leaves the output of a deleted source where it was; a deleted test would still run.
 */
function removeOrphans(packages) {
  for (const folder of packages) {
    const dist = join(root, folder, 'dist');
    if (!existsSync(dist)) continue;
    for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.js')) continue;
      const file = join(entry.parentPath, entry.name);
      const source = join(root, folder, relative(dist, file)).replace(/\.js$/, '.ts');
      if (existsSync(source)) continue;
      const stem = join(dirname(file), entry.name.slice(0, -3));
      for (const ending of ['.js', '.js.map', '.d.ts', '.d.ts.map']) {
        rmSync(stem + ending, { force: true });
      }
    }
  }
}

/** Sources and what decides how they compile. */
const isInput = (name) => name.endsWith('.ts') || name.endsWith('.json');

function* inputsIn(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* inputsIn(path);
    else if (isInput(entry.name)) yield path;
  }
}

/** Changes with every edit of an input. */
function stateOfInputs(packages) {
  const hash = createHash('sha256');
  const add = (path) => {
    const { mtimeMs, size } = statSync(path);
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  };
  for (const name of ['tsconfig.json', 'tsconfig.base.json', 'node_modules/.setup-stamp']) {
    add(join(root, name));
  }
  for (const folder of packages) {
    for (const path of inputsIn(join(root, folder))) add(path);
  }
  return hash.digest('hex');
}

const buildStamp = (target) =>
  join(root, 'node_modules', `.build-stamp-${target.replaceAll(/\W/g, '-')}`);

/**
 * The compiler takes 0.3 s or more to find that there is nothing to do; looking at times, 0.02 s.
 */
function isCompiled({ packages, target, covers }) {
  const stamp = buildStamp(target);
  return (
    packages.every((folder) => existsSync(join(root, folder, 'dist/.tsbuildinfo'))) &&
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === stateOfInputs(packages) &&
    covers.every(isCompiled)
  );
}

function compile(part) {
  if (isCompiled(part)) return;
  // Taken before the compiler reads: what is edited meanwhile is compiled the next time.
  const states = [part, ...part.covers].map((each) => [each.target, stateOfInputs(each.packages)]);
  removeOrphans(part.packages);
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', part.target]);
  for (const [target, state] of states) writeFileSync(buildStamp(target), state);
}

/** Packages that the broker needs. */
const programs = {
  packages: ['proto', ...readdirSync(join(root, 'services')).map((name) => `services/${name}`)],
  target: 'services/standalone',
  covers: [],
};

/** Packages that the tests, the benchmark and the checks need, and the examples. */
const everything = {
  packages: [...programs.packages, 'examples', 'test'],
  target: '.',
  covers: [programs],
};

const lock = join(root, '.setup-lock');
const lockPollMs = 100;
/** A set-up that takes no longer than this is not worth a line. */
const saidAfterMs = 1000;

/** A process of another user may not be signalled, but it runs. */
function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * The process that has the lock: 0 where this one took it, undefined where its file is being
 * written.
 */
function takeLock() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return 0;
  } catch (error) {
    if (error.code !== 'EEXIST') cannotWrite(error);
  }
  let holder = '';
  try {
    holder = readFileSync(lock, 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') cannotWrite(error);
  }
  if (holder === '') return undefined;
  if (isRunning(Number(holder))) return Number(holder);
  try {
    rmSync(lock, { force: true });
  } catch (error) {
    cannotWrite(error);
  }
  return undefined;
}

function cannotWrite(error) {
  fail(
    `${root} is to be set up, and this user cannot write to it (${error.code}): ` +
      'run `npm run setup` there as its owner',
  );
}

/** One at a time: ds and its cs nodes may be started at once from a fresh checkout. */
function alone(work) {
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  const sinceMs = performance.now();
  let isSaid = false;
  for (let holder = takeLock(); holder !== 0; holder = takeLock()) {
    if (!isSaid && holder !== undefined && performance.now() - sinceMs > saidAfterMs) {
      isSaid = true;
      console.error(`lmqtt: process ${holder} sets this checkout up; waiting for it (${lock})`);
    }
    Atomics.wait(sleeping, 0, 0, lockPollMs);
  }
  const release = () => rmSync(lock, { force: true });
  // `run` ends the process where a step fails.
  process.on('exit', release);
  work();
  process.off('exit', release);
  release();
}

function setUp(part) {
  if (isInstalled() && isCompiled(part)) return;
  alone(() => {
    install();
    compile(part);
  });
}

export function setUpPrograms() {
  setUp(programs);
}

export function setUpAll() {
  setUp(everything);
}
