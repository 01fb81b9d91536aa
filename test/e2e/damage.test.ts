// Damaged files, seen from outside: a program that ends says why, and `check` finds and repairs.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isCluster, isSplit } from '../harness/shape.ts';
import { ack } from '../harness/packets.ts';
import { fetchMetrics } from '../harness/metrics.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-damage-'));
const program = isSplit
  ? ['ds', '--rpc-port', '0', '--ops-port', '0']
  : ['standalone', '--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0'];
/** A cluster keeps nothing in files. */
const options = { skip: isCluster };

after(() => {
  closeAllClients();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #output = { stdout: '', stderr: '' };

  constructor(args: readonly string[], nodeArgs: readonly string[] = [], openFiles?: number) {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const command = [process.execPath, ...nodeArgs, main, ...args];
    const limited = ['-c', `ulimit -n ${openFiles}; exec "$@"`, 'bash', ...command];
    const child =
      openFiles === undefined
        ? spawn(process.execPath, command.slice(1), { stdio })
        : spawn('bash', limited, { stdio });
    this.child = child;
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (this.#output[name] += text));
    }
    this.ended = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      ...this.#output,
    }));
  }

  /** Resolves when it says that it is ready. */
  async ready(): Promise<this> {
    await this.says(/^ready /m);
    return this;
  }

  async says(text: RegExp): Promise<void> {
    const { stdout, stderr } = this.child;
    const isOver = this.ended.then((ended) => Promise.reject(new Error(ended.stderr)));
    isOver.catch(() => undefined);
    while (!text.test(this.#output.stdout) && !text.test(this.#output.stderr)) {
      await Promise.race([once(stdout!, 'data'), once(stderr!, 'data'), isOver]);
    }
  }

  /** Port of a listener, from the line that the broker printed. */
  port(name: string): number {
    const found = new RegExp(` ${name}=\\S*:(\\d+)`).exec(this.#output.stdout);
    return Number(found?.[1]);
  }

  async stop(signal: NodeJS.Signals): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }
}

const run = (...args: string[]): Promise<Ended> => new Program(args).ended;

void test('a damaged state ends the start with one line, and is repaired', options, async () => {
  const directory = join(folder, 'state');
  const start = [...program, '--data-dir', directory];
  const check = ['check', '--data-dir', directory];
  const first = await new Program(start).ready();
  const inUse = await run(...check);
  assert.equal(inUse.code, 75, inUse.stderr);
  assert.match(inUse.stderr, /is in use by another broker/);
  await first.stop('SIGTERM');
  const right = await run(...check);
  assert.equal(right.code, 0, right.stdout);
  assert.match(right.stdout, /all is well/);

  const file = join(directory, 'state', 'data.mdb');
  const state = readFileSync(file);
  for (const damaged of [state.subarray(0, 9000), Buffer.from(state).fill(0, 4096, 8192)]) {
    writeFileSync(file, damaged);
    const ended = await run(...start);
    assert.equal(ended.signal, null);
    assert.equal(ended.code, 65, ended.stderr);
    const lines = ended.stderr.split('\n').filter((line) => line.startsWith('lmqtt: '));
    assert.equal(lines.length, 1, ended.stderr);
    assert.match(lines[0] ?? '', /data\.mdb is damaged .* --repair$/);
    assert.equal((await run(...check)).code, 1);
  }
  const repaired = await run(...check, '--repair');
  assert.equal(repaired.code, 0, repaired.stdout);
  await (await new Program(start).ready()).stop('SIGTERM');
  assert.equal((await run(...check)).code, 0);
});

const alone = { skip: isCluster || isSplit };

void test('a flipped byte of the log is passed over and counted in lost', alone, async () => {
  const directory = join(folder, 'log');
  const count = 300;
  const start = [...program, '--data-dir', directory, '--segment-bytes', '65536'];
  const session = { clientId: 'device', clean: false };
  const first = await new Program(start).ready();
  const device = await connected(first.port('mqtt'), session);
  await device.subscribe('sensors/#', 1);
  device.destroy();
  const publisher = await connected(first.port('mqtt'));
  for (let i = 0; i < count; i++) {
    await publisher.publish('sensors/one', `${i} `.padEnd(900, 'x'), { qos: 1 });
  }
  await first.stop('SIGTERM');
  const log = join(directory, 'log');
  const segments = readdirSync(log).filter((name) => name.endsWith('.seg'));
  assert.ok(segments.length > 3);
  const path = join(log, segments.sort()[1] ?? '');
  const bytes = readFileSync(path);
  bytes[30_000] = (bytes[30_000] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  assert.equal((await run('check', '--data-dir', directory)).code, 1);

  const second = await new Program(start).ready();
  const back = await connected(second.port('mqtt'), { ...session, sessionPresent: true });
  const received: number[] = [];
  while (received.at(-1) !== count - 1) {
    const { packetId, payload } = await back.receive({ topic: 'sensors/one' });
    const text = payload.toString();
    const number = Number.parseInt(text, 10);
    assert.equal(text, `${number} `.padEnd(900, 'x'));
    received.push(number);
    back.send(ack('puback', { packetId }));
  }
  const lost = count - received.length;
  assert.ok(lost > 0 && lost < 10, `${lost} lost`);
  assert.deepEqual(
    [...received].sort((a, b) => a - b),
    received,
  );
  // Later messages come, too.
  const other = await connected(second.port('mqtt'));
  await other.publish('sensors/one', 'later', { qos: 1 });
  await back.receive({ payload: 'later' });
  const ops = second.port('ops');
  const client = await fetch(`http://127.0.0.1:${ops}/api/v1/clients/device`);
  assert.equal(((await client.json()) as { lost: number }).lost, lost);
  const metrics = await fetchMetrics('127.0.0.1', ops);
  assert.equal(metrics.get('lmqtt_store_damaged_blocks_total'), 1);
  assert.equal(metrics.get('lmqtt_ds_dropped_total{reason="damaged"}'), lost);
  const { stderr, stdout } = await second.stop('SIGTERM');
  assert.match(stderr + stdout, /a block of the log is damaged and passed over/);
});

/** From a signal on the wall clock is eight days ahead. */
const jumpingClock = `data:text/javascript,
  const { now } = Date;
  process.on('SIGUSR2', () => { Date.now = () => now() + 8 * 86400000; });`;

void test('a wall clock that jumps is told in the log', options, async () => {
  const start = [...program, '--data-dir', join(folder, 'clock')];
  const jumping = await new Program(start, ['--import', jumpingClock]).ready();
  jumping.child.kill('SIGUSR2');
  await jumping.says(/"jumpedS":69120\d.*the wall clock jumped|the wall clock jumped.*69120\d/);
  await jumping.stop('SIGTERM');
});

void test(
  'at the limit of open files the store works on, and the start said so',
  alone,
  async () => {
    const data = ['--data-dir', join(folder, 'limit'), '--segment-bytes', '65536'];
    const start = [...program, ...data, '--checkpoint-interval-s', '1'];
    const broker = await new Program(start, [], 400).ready();
    await broker.says(/the limit of open files \(400\) has room for 240 connections/);
    const port = broker.port('mqtt');
    const session = { clientId: 'absent', clean: false };
    const subscriber = await connected(port, session);
    await subscriber.subscribe('t/#', 1);
    subscriber.destroy();
    const publisher = await connected(port);
    const sockets: net.Socket[] = [];
    let closed = 0;
    for (let i = 0; i < 500; i++) {
      const socket = net.connect({ port, host: '127.0.0.1' }).on('error', () => undefined);
      socket.on('close', () => (closed += 1));
      socket.resume();
      sockets.push(socket);
    }
    await broker.says(/the limit of open files \(400\) is near/);
    // Segments are made and checkpoints taken meanwhile.
    for (let i = 0; i < 400; i++) {
      await publisher.publish('t/1', `${i} `.padEnd(1000, 'x'), { qos: 1 });
    }
    assert.ok(closed > 100, `${closed} closed`);
    const metrics = await fetchMetrics('127.0.0.1', broker.port('ops'));
    assert.ok((metrics.get('lmqtt_sockets_closed_at_open_files_limit') ?? 0) > 100);
    const gone = sockets.map(async (socket) => socket.destroyed || once(socket.destroy(), 'close'));
    await Promise.all(gone);
    // Connects again until the broker has seen that the others are gone.
    let back: RawClient | undefined;
    while (back === undefined) {
      back = await connected(port, { ...session, sessionPresent: true }).catch(() => undefined);
    }
    for (let i = 0; i < 20; i++) {
      const { packetId } = await back.receive({ topic: 't/1' });
      back.send(ack('puback', { packetId }));
    }
    const { stdout, stderr } = await broker.stop('SIGTERM');
    assert.doesNotMatch(stdout + stderr, /EMFILE|checkpoint failed|log failed/);
  },
);

void test(
  'files of the store are closed to others, those that were there, too',
  options,
  async () => {
    const directory = join(folder, 'rights');
    const passwords = join(folder, 'passwords');
    writeFileSync(passwords, '', { mode: 0o644 });
    const start = [...program, '--data-dir', directory];
    const modes = (): string[] => {
      const found: string[] = [];
      for (const name of ['', 'log', 'state', 'holders']) {
        const path = join(directory, name);
        found.push(`${name}/ ${(statSync(path).mode & 0o777).toString(8)}`);
        if (name === '' || name === 'holders') continue;
        for (const file of readdirSync(path)) {
          found.push(`${name}/* ${(statSync(join(path, file)).mode & 0o777).toString(8)}`);
        }
      }
      return [...new Set(found)].sort();
    };
    const wanted = ['/ 750', 'holders/ 750', 'log/ 750', 'log/* 640', 'state/ 750', 'state/* 640'];
    mkdirSync(folder, { recursive: true });
    await (await new Program(start).ready()).stop('SIGKILL');
    assert.deepEqual(modes(), wanted);
    for (const name of ['log', 'state']) {
      for (const file of readdirSync(join(directory, name))) {
        chmodSync(join(directory, name, file), 0o644);
      }
      chmodSync(join(directory, name), 0o755);
    }
    chmodSync(directory, 0o755);
    const again = await new Program([...start, '--password-file', passwords]).ready();
    assert.deepEqual(modes(), wanted);
    await again.says(/PASSWORD_FILE .*passwords can be read by every user of this machine/);
    await again.stop('SIGTERM');
  },
);
