// The command as people and scripts meet it: its output, its exit codes, its signals.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const main = join(import.meta.dirname, '../src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-command-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Call {
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with all of stdout so far. */
  readonly onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void;
}

function lmqtt(args: readonly string[], { environment = {}, onOutput }: Call = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      env: { PATH: process.env['PATH'], ...environment },
      timeout: 60_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      onOutput?.(stdout, (signal) => child.kill(signal));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

let dirs = 0;
function freePorts(): string[] {
  dirs += 1;
  const ports = ['--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0'];
  return [...ports, '--data-dir', join(folder, String(dirs))];
}

test('mistakes in the settings: one line on stderr, exit code 2', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['--mqtt-port', 'x'], /^lmqtt: --mqtt-port must be a port .*\n$/],
    [['--nope', '1'], /^lmqtt: --nope: there is no such setting.*\n$/],
    [['nope'], /^lmqtt: nope: there is no such command.*\n$/],
    [['standalone', '--bind', '0.0.0.0'], /^lmqtt: BIND 0\.0\.0\.0 .*--allow-anonymous true/],
    [['--config', join(folder, 'absent')], /^lmqtt: --config .*cannot be read\n$/],
  ];
  await Promise.all(
    wrong.map(async ([args, message]) => {
      const { code, stdout, stderr } = await lmqtt(args);
      assert.match(stderr, message);
      assert.equal(code, 2);
      assert.equal(stdout, '');
    }),
  );
  const { code, stderr } = await lmqtt([], { environment: { LMQTT_NOPE: '1' } });
  assert.match(stderr, /^lmqtt: LMQTT_NOPE: there is no such setting.*\n$/);
  assert.equal(code, 2);
});

test('--help lists the settings, --version tells the version', async () => {
  const help = await lmqtt(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /--max-connections {2}\[default 100000;/);
  const version = await lmqtt(['--version']);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`says where it listens and stops cleanly at ${signal}`, async () => {
    let isSent = false;
    const { code, stdout } = await lmqtt(freePorts(), {
      onOutput(text, kill) {
        if (!text.endsWith('\n') || isSent) return;
        isSent = true;
        kill(signal);
      },
    });
    assert.equal(code, 0);
    const lines = stdout.trimEnd().split('\n');
    const port = String.raw`127\.0\.0\.1:[1-9]\d*`;
    assert.match(lines[0] ?? '', new RegExp(`^ready mqtt=${port} ws=${port} ops=${port}$`));
    const mqttPort = /mqtt=[^ ]*:(\d+)/.exec(stdout)?.[1] ?? '';
    assert.match(lines[1] ?? '', new RegExp(`mosquitto_sub -h 127.0.0.1 -p ${mqttPort} .*npx`));
    assert.match(lines[2] ?? '', new RegExp(`mosquitto_pub -h 127.0.0.1 -p ${mqttPort} .*npx`));
  });
}

test('a data folder of somebody else: one line, exit code 1', (t) => {
  const theirs = join(folder, 'theirs');
  mkdirSync(theirs, { mode: 0o555 });
  chmodSync(folder, 0o755);
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 60_000, ...user });
  if (run('--version').status !== 0) {
    t.skip('another user cannot read this checkout');
    return;
  }
  const ports = ['--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0'];
  const hidden = join(folder, 'hidden');
  mkdirSync(hidden, { mode: 0o000 });
  for (const path of [theirs, join(theirs, 'data'), join(hidden, 'data')]) {
    const { stdout, stderr, status } = run(...ports, '--log-level', 'silent', '--data-dir', path);
    assert.match(stderr, /^lmqtt: DATA_DIR .* cannot be written .*chown -R \d+ .*\n$/);
    assert.equal(stdout, '');
    assert.equal(status, 1);
  }
});

test('a data folder that is no folder: one line, exit code 1', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const long = join(folder, 'n'.repeat(300));
  for (const path of [file, join(file, 'data'), long]) {
    const { code, stdout, stderr } = await lmqtt([
      ...freePorts(),
      ...['--data-dir', path, '--log-level', 'silent'],
    ]);
    assert.match(stderr, /^lmqtt: DATA_DIR .* cannot be used \(E[A-Z]+\): it.*\n$/);
    assert.equal(stdout, '');
    assert.equal(code, 1);
  }
});

test('a port in use: one line, exit code 1', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = holder.address() as AddressInfo;
    const names = [
      ['--mqtt-port', 'MQTT_PORT'],
      ['--ws-port', 'WS_PORT'],
      ['--ops-port', 'OPS_PORT'],
    ] as const;
    for (const [flag, name] of names) {
      const { code, stdout, stderr } = await lmqtt([
        ...freePorts(),
        ...[flag, String(port), '--log-level', 'silent'],
      ]);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, new RegExp(`^lmqtt: .*:${port} \\(${name}\\): the port is in use.*\n$`));
    }
  } finally {
    holder.close();
  }
});
