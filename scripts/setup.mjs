// Brings a checkout to the point where its programs run: packages installed when the lock has
// changed, everything compiled, compiled files of deleted sources removed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const read = (file) => readFileSync(join(root, file), 'utf8');

function run(command, args) {
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
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
function removeOrphans() {
  const packages = ['proto', 'test', ...readdirSync(join(root, 'services')).map((s) => `services/${s}`)];
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

install();
removeOrphans();
run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b']);
