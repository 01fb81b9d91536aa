// Brings a checkout to the point where its programs run: packages installed when the lock has
// changed, and when a source has changed everything compiled, compiled files of deleted sources
// removed. What it runs speaks on stderr, so that stdout is the program's own.
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

function install() {
  const pnpm = JSON.parse(read('package.json')).packageManager.split('+')[0];
  const stamp = join(root, 'node_modules', '.setup-stamp');
  const hash = createHash('sha256').update(process.version);
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(read(file));
  }
  const key = hash.digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === key) return;
  // A tree that `npm install` has made cannot be shared with pnpm.
  if (existsSync(join(root, 'node_modules', '.package-lock.json'))) {
    rmSync(join(root, 'node_modules'), { recursive: true });
  }
  run('npx', ['--yes', pnpm, 'install', '--frozen-lockfile', '--config.confirmModulesPurge=false']);
  writeFileSync(stamp, key);
}

/** The compiler leaves the output of a deleted source where it was; a deleted test would still run. */
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

/** The compiler takes 0.3 s or more to find that there is nothing to do; looking at times, 0.02 s. */
function compile(packages, target) {
  const stamp = join(root, 'node_modules', `.build-stamp-${target.replaceAll(/\W/g, '-')}`);
  // Taken before the compiler reads: what is edited meanwhile is compiled the next time.
  const state = stateOfInputs(packages);
  const isBuilt = packages.every((folder) => existsSync(join(root, folder, 'dist/.tsbuildinfo')));
  if (isBuilt && existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return;
  removeOrphans(packages);
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', target]);
  writeFileSync(stamp, state);
}

const programs = [
  'proto',
  ...readdirSync(join(root, 'services')).map((name) => `services/${name}`),
];

const lock = join(root, '.setup-lock');
const lockPollMs = 100;

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Answers whether the lock is ours now; that of a process which has ended goes. */
function takeLock() {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    // An empty file is one that is being written.
    const holder = existsSync(lock) ? readFileSync(lock, 'utf8') : '';
    if (holder !== '' && !isRunning(Number(holder))) rmSync(lock, { force: true });
    return false;
  }
}

/** One at a time: ds and its cs nodes may be started at once from a fresh checkout. */
function alone(work) {
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  while (!takeLock()) Atomics.wait(sleeping, 0, 0, lockPollMs);
  const release = () => rmSync(lock, { force: true });
  // `run` ends the process where a step fails.
  process.on('exit', release);
  work();
  process.off('exit', release);
  release();
}

/** What the broker needs. */
export function setUpPrograms() {
  alone(() => {
    install();
    compile(programs, 'services/standalone');
  });
}

/** What the tests, the benchmark and the checks need. */
export function setUpAll() {
  alone(() => {
    install();
    compile([...programs, 'test'], '.');
  });
}
