// A checkout as its programs find it: read-only, in the midst of a set-up, on an old Node.
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const root = join(import.meta.dirname, '../../../..');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-checkout-'));
after(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true, force: true });
});

/** Far more than any of it takes, and less than for ever. */
const timeout = 60_000;
const nobody = 65_534;

function run(
  checkout: string,
  args: readonly string[],
  user: { uid?: number; gid?: number } = {},
): SpawnSyncReturns<string> {
  const script = join(checkout, 'scripts/lmqtt.mjs');
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', timeout, ...user });
}

for (const name of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'scripts', 'proto']) {
  cpSync(join(root, name), join(folder, name), {
    recursive: true,
    filter: (path) => !/node_modules|dist$/.test(path),
  });
}
cpSync(join(root, 'services/common/package.json'), join(folder, 'services/common/package.json'));

test('a checkout that is set up runs while somebody else has its lock', () => {
  const lock = join(root, '.setup-lock');
  if (existsSync(lock)) return;
  writeFileSync(lock, String(process.pid));
  try {
    const { stdout, status } = run(root, ['--version']);
    assert.equal(status, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  } finally {
    rmSync(lock);
  }
});

test('a checkout that is to be set up and cannot be written says so, and ends with 1', () => {
  chmodSync(folder, 0o555);
  const isRoot = process.getuid?.() === 0;
  const { stdout, stderr, status } = run(
    folder,
    ['--version'],
    isRoot ? { uid: nobody, gid: nobody } : {},
  );
  chmodSync(folder, 0o755);
  assert.match(stderr, /^lmqtt: .*this user cannot write to it \(EACCES\).*\n$/);
  assert.equal(stdout, '');
  assert.equal(status, 1);
});

test('a Node that is too old is told in one line', () => {
  const manifest = join(folder, 'package.json');
  const text = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, text.replace('">=20.19"', '">=99.1"'));
  const { stderr, status } = run(folder, ['--version']);
  assert.match(stderr, /^lmqtt: Node 99\.1 or newer is needed, and this is v\d+.*\n$/);
  assert.equal(status, 1);
});

test('dev:cluster says what is wrong with its flags before it starts a server', () => {
  const path = join(root, 'scripts/dev-cluster.mjs');
  const options = { encoding: 'utf8', timeout } as const;
  const wrong = spawnSync(process.execPath, [path, '--mqtt-prot', '1'], options);
  assert.match(wrong.stderr, /^dev:cluster: --mqtt-prot: .*did you mean --mqtt-port.*\n$/);
  assert.equal(wrong.status, 2);
  const npm = { npm_lifecycle_event: 'dev:cluster', npm_config_mqtt_port: '1' };
  const env = { ...process.env, ...npm };
  const taken = spawnSync(process.execPath, [path], { ...options, env });
  assert.match(
    taken.stderr,
    /^dev:cluster: npm took --mqtt-port .*dev:cluster -- --mqtt-port=1\n$/,
  );
  assert.equal(taken.status, 2);
});

test('--help of the scripts starts nothing', () => {
  for (const script of ['dev-split', 'dev-cluster']) {
    const path = join(root, `scripts/${script}.mjs`);
    const options = { encoding: 'utf8', timeout } as const;
    const { stdout, status } = spawnSync(process.execPath, [path, '--help'], options);
    assert.match(stdout, /^npm run dev:/);
    assert.equal(status, 0);
  }
});
