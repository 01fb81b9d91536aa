// The broker as a process: how soon it listens, how it stops, what it refuses to start with.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isCluster, startBroker } from '../harness/shape.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-process-'));
/** The goal is 2 s on a machine of its own, for one process. */
const startMsMax = 60_000;
/** How long wills wait after a planned stop; in a cluster also while it is down. */
const willsWaitMs = 10_000;
/** How long wills wait after a planned stop, and some time to send them. */
const graceMs = 15_000;

after(() => {
  closeAllClients();
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command, which has to end by itself. */
async function lmqtt(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, ...environment },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

function configFile(...lines: string[]): string[] {
  const path = join(folder, unique('config'));
  writeFileSync(path, `${lines.join('\n')}\n`);
  return ['--config', path];
}

const ports = ['--mqtt-port', '0', '--ws-port', '0', '--ops-port', '0'];

const mistakes: readonly (readonly [
  what: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  says: RegExp,
])[] = [
  ['an unknown flag', ['--mqtt-prot', '1'], {}, /--mqtt-prot: there is no such setting/],
  ['an unknown variable', [], { LMQTT_NOPE: '1' }, /LMQTT_NOPE: there is no such setting/],
  ['an unknown key', configFile('# a', 'NOPE=1'), {}, /line 2: NOPE: there is no such setting/],
  [
    'a flag that is nearly one',
    ['--mqtt-prot', '1'],
    {},
    /--mqtt-prot: .*did you mean --mqtt-port\?/,
  ],
  [
    'a variable that is nearly one',
    [],
    { LMQTT_PASWORD_FILE: 'x' },
    /LMQTT_PASWORD_FILE: .*did you mean LMQTT_PASSWORD_FILE\?/,
  ],
  [
    'a key that is nearly one',
    configFile('MQTTPORT=1'),
    {},
    /MQTTPORT: .*did you mean MQTT_PORT\?/,
  ],
  ['a command that is nearly one', ['standalnoe'], {}, /did you mean standalone\?/],
  [
    'a flag that npm took',
    [],
    { npm_lifecycle_event: 'start', npm_config_mqtt_port: '1' },
    /npm took --mqtt-port for itself.*npm start -- --mqtt-port=1/,
  ],
  ['a key without a value', configFile('MAX_INFLIGHT'), {}, /line 1: MAX_INFLIGHT .*""/],
  ['a port that is none', ['--mqtt-port', '65536'], {}, /--mqtt-port .*65535.*"65536"/],
  ['a number that is none', [], { LMQTT_MAX_INFLIGHT: 'x' }, /LMQTT_MAX_INFLIGHT .*"x"/],
  ['a size out of range', configFile('MAX_PACKET_SIZE=1'), {}, /line 1: MAX_PACKET_SIZE .*"1"/],
  ['a choice that is none', ['--log-level', 'loud'], {}, /--log-level .*"loud"/],
  ['a flag without value', ['--mqtt-port'], {}, /--mqtt-port: needs a value/],
  ['TLS without certificate', ['--mqtt-tls-port', '0'], {}, /need TLS_CERT and TLS_KEY/],
  [
    'a wider bind, no authentication',
    ['--bind', '0.0.0.0'],
    {},
    /0\.0\.0\.0.*--allow-anonymous true .*LMQTT_ALLOW_ANONYMOUS=true/,
  ],
];

void describe('mistakes are told in one line, exit code 2', { concurrency: 2 }, () => {
  for (const [what, args, environment, says] of mistakes) {
    void test(what, async () => {
      const dataDir = join(folder, unique('none'));
      const isCommand = args[0]?.startsWith('-') === false;
      const { code, stdout, stderr } = await lmqtt(
        isCommand ? args : [...ports, '--data-dir', dataDir, ...args],
        environment,
      );
      assert.match(stderr, /^lmqtt: [^\n]*\n$/);
      assert.match(stderr, says);
      assert.equal(stdout, '');
      assert.equal(code, 2);
    });
  }
});

void test('flags count more than the environment, the environment more than files', async () => {
  const broker = await startBroker({
    env: { LMQTT_RECEIVE_MAXIMUM: '20', LMQTT_TOPIC_ALIAS_MAXIMUM: '2' },
    args: [
      ...configFile('RECEIVE_MAXIMUM=30', 'TOPIC_ALIAS_MAXIMUM=3', 'KEEP_ALIVE_S_MAX=33'),
      ...['--receive-maximum', '10'],
    ],
  });
  try {
    const client = await connectRaw(broker.mqttPort);
    const { properties } = await client.connect({ version: 5 });
    assert.equal(properties.receiveMaximum, 10);
    assert.equal(properties.topicAliasMaximum, 2);
    assert.equal(properties.serverKeepAlive, 33);
  } finally {
    await broker.stop();
  }
});

void test('SIGHUP reads the files again, says which have changed, and the broker goes on', async (t) => {
  const args = configFile('LOG_LEVEL=info', 'MAX_INFLIGHT=10');
  const broker = await startBroker({ args });
  t.after(() => broker.stop());
  const client = await connected(broker.mqttPort);
  const said = async (line: RegExp): Promise<void> => {
    while (!line.test(broker.logs())) await delay(20, undefined, { signal: t.signal });
  };
  process.kill(broker.pid, 'SIGHUP');
  await said(/"files":[1-9]\d*,"changed":\[\],"msg":"files read again"/);
  writeFileSync(args[1]!, 'LOG_LEVEL=debug\nMAX_INFLIGHT=11\n');
  process.kill(broker.pid, 'SIGHUP');
  await said(/"settings":\["LOG_LEVEL"\],"msg":"settings read again"/);
  await said(/"settings":\["MAX_INFLIGHT"\],"msg":"settings changed that take effect after/);
  await client.ping();
});

void describe('a planned stop', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    void test(`${signal}: clients are told, all is kept, no will of who comes back`, async (t) => {
      // What has not been stored by then is not kept, which a busy machine must not bring about.
      const broker = await startBroker({ settings: { STOP_TIMEOUT_MS: '60000' } });
      t.after(() => broker.stop());
      const base = unique();
      const properties = { sessionExpiryInterval: 600 };
      const will = (name: string) => ({ topic: `${base}/will/${name}`, payload: name, qos: 1 });
      const comer = { clientId: unique(), version: 5, clean: false, properties } as const;
      const watcher = { clientId: unique(), version: 5, clean: false, properties } as const;

      const watches = await connected(broker.mqttPort, watcher);
      await watches.subscribe(`${base}/#`, 2);
      const comes = await connected(broker.mqttPort, { ...comer, will: will('comer') });
      const leaves = await connected(broker.mqttPort, {
        ...{ clientId: unique(), version: 5, properties },
        will: will('leaver'),
      });
      const older = { clientId: unique(), clean: false };
      const old = await connected(broker.mqttPort, older);
      await old.subscribe(`${base}/old`, 1);
      await comes.publish(`${base}/kept`, 'retained', { qos: 1, retain: true });
      await watches.receive({ payload: 'retained' });
      // Sent and not acknowledged: comes again with its packet id.
      await comes.publish(`${base}/flight`, 'in flight', { qos: 1 });
      const { packetId } = await watches.expect('publish', { payload: 'in flight' });

      const stoppedMs = performance.now();
      const ended = broker.end(signal);
      for (const client of [watches, comes, leaves]) await client.expectDisconnect(0x8b);
      await old.expectClose();
      assert.equal(await ended, 0);

      const startedMs = performance.now();
      await broker.restart();
      const client = await connected(broker.mqttPort, { ...comer, sessionPresent: true });
      const tookMs = performance.now() - startedMs;
      const waitedMs = performance.now() - (isCluster ? stoppedMs : startedMs);
      const isLate = waitedMs > willsWaitMs;
      t.diagnostic(`a second start listens and serves after ${Math.round(tookMs)} ms`);
      assert.ok(tookMs < startMsMax, `${tookMs} ms`);

      const again = await connected(broker.mqttPort, { ...watcher, sessionPresent: true });
      await again.receive({ payload: 'in flight', packetId, dup: true });
      await connected(broker.mqttPort, { ...older, sessionPresent: true });
      const reader = await connected(broker.mqttPort);
      await reader.subscribe(`${base}/kept`, 1);
      await reader.receive({ payload: 'retained', retain: true });
      if (isLate) {
        t.diagnostic('too late for the wills');
        return;
      }
      // Only the will of the client that stayed away.
      await again.receive({ payload: 'leaver' }, graceMs);
      await client.publish(`${base}/end`, 'end', { qos: 1 });
      await again.receive({ payload: 'end' });
    });
  }
});
