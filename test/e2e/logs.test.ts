// The broker's log on stderr: JSON lines, one for each business event, and nothing secret.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { visible } from '@lmqtt/common/visible';
import type { Broker } from '../harness/broker.ts';
import { startBroker } from '../harness/shape.ts';
import { auth, connect, publish } from '../harness/packets.ts';
import { ScramClient } from '../harness/scram.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-logs-'));
after(() => {
  closeAllClients();
  rmSync(folder, { recursive: true, force: true });
});

const secrets = {
  password: 'Hidden-Password',
  wrong: 'Hidden-Wrong-One',
  payload: 'Hidden-Payload',
  will: 'Hidden-Will',
  property: 'Hidden-Property',
  hmacKey: 'Hidden-Hmac-Key',
  token: 'Hidden-Token',
} as const;

interface Line {
  readonly level: string;
  readonly time: string;
  readonly name: string;
  readonly msg: string;
  readonly clientId?: string;
}

/** Lines of stderr; those before the first `{` are of stdout. */
function linesOf(broker: Broker): Line[] {
  const written = broker.logs().split('\n');
  const json = written.slice(written.findIndex((line) => line.startsWith('{')));
  return json.filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
}

/** The log is written in the background. */
async function logged(broker: Broker, clientId: string, msg: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!linesOf(broker).some((line) => line.clientId === clientId && line.msg === msg)) {
    assert.ok(performance.now() < endMs, `no line "${msg}" of ${clientId}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function passwd(file: string): void {
  const args = [main, 'passwd', '--file', file, '--stdin', 'add', 'ann'];
  const input = `${secrets.password}\n`;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { input, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.ok(!`${stdout}${stderr}`.includes(secrets.password));
}

void test('at the level info: one line for each event', async (t) => {
  const passwordFile = join(folder, 'users-info');
  passwd(passwordFile);
  const broker = await startBroker({ settings: { PASSWORD_FILE: passwordFile } });
  t.after(() => broker.stop());
  const user = { username: 'ann', password: secrets.password };
  const come = { ...user, clientId: unique('comes'), version: 5 } as const;
  const client = await connected(broker.mqttPort, come);
  await client.subscribe('t', 1);
  await client.publish('t', 'x', { qos: 1 });
  await client.disconnect();

  const refused = { ...user, clientId: unique('refused'), password: secrets.wrong, reason: 4 };
  await (await connectRaw(broker.mqttPort)).connect(refused);

  const breaks = { ...user, clientId: unique('breaks') };
  const broken = await connected(broker.mqttPort, breaks);
  broken.send(publish({ topic: 't', qos: 3 }));
  await broken.expectClose();

  const will = { topic: 'gone', payload: 'x' };
  const loses = { ...user, clientId: unique('loses') };
  const lost = await connected(broker.mqttPort, { ...loses, will });
  lost.destroy();

  const last = { ...user, clientId: unique('last') };
  const marker = await connected(broker.mqttPort, last);
  await marker.disconnect();
  await logged(broker, come.clientId, 'client disconnected');
  await logged(broker, breaks.clientId, 'client disconnected');
  await logged(broker, loses.clientId, 'will sent');
  await logged(broker, loses.clientId, 'client disconnected');
  await logged(broker, last.clientId, 'client disconnected');
  assert.equal(await broker.end(), 0);

  const lines = linesOf(broker);
  for (const { level, time, name, msg } of lines) {
    assert.ok(['info', 'warn', 'error'].includes(level), level);
    assert.ok(!Number.isNaN(Date.parse(time)), time);
    assert.ok(name.length > 0 && msg.length > 0);
  }
  const of = (clientId: string): string[] =>
    lines.filter((line) => line.clientId === clientId).map(({ level, msg }) => `${level} ${msg}`);
  assert.deepEqual(of(come.clientId), ['info client connected', 'info client disconnected']);
  assert.deepEqual(of(refused.clientId), ['warn connection refused']);
  assert.deepEqual(of(breaks.clientId), [
    'info client connected',
    'warn connection closed by a fault',
    'info client disconnected',
  ]);
  assert.deepEqual(of(loses.clientId).sort(), [
    'info client connected',
    'info client disconnected',
    'info will sent',
  ]);
  const processes = broker.logs().match(/^ready /gm)?.length;
  assert.equal(lines.filter(({ msg }) => msg === 'broker ready').length, processes);
  assert.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  );
});

void test('at the level trace: neither passwords nor payloads nor keys', async (t) => {
  const passwordFile = join(folder, 'users-trace');
  passwd(passwordFile);
  const broker = await startBroker({
    settings: {
      PASSWORD_FILE: passwordFile,
      HMAC_USERNAME: 'nodes',
      HMAC_SECRET_KEY: secrets.hmacKey,
      OPS_TOKEN: secrets.token,
      LOG_LEVEL: 'trace',
    },
  });
  t.after(() => broker.stop());
  const user = { username: 'ann', password: secrets.password };
  const secretWill = { topic: 'will', payload: secrets.will, qos: 1, retain: true };
  const lost = await connected(broker.mqttPort, { ...user, clientId: unique(), will: secretWill });
  const properties = {
    correlationData: secrets.property,
    userProperties: [['key', secrets.property]],
  } as const;
  const client = await connected(broker.mqttPort, { ...user, clientId: unique(), version: 5 });
  await client.subscribe('#', 2);
  for (const qos of [0, 1, 2] as const) {
    await client.publish('t', secrets.payload, { qos, retain: true, properties });
    await client.find('publish', { payload: secrets.payload });
  }
  lost.destroy();
  await client.find('publish', { payload: secrets.will });

  // A failed login logs more, and still nothing of this.
  const wrong = await connectRaw(broker.mqttPort);
  await wrong.connect({ ...user, password: secrets.wrong, clientId: unique(), reason: 4 });
  const malformed = await connected(broker.mqttPort, { ...user, clientId: unique() });
  malformed.send(publish({ topic: 't', payload: secrets.payload, qos: 3 }));
  await malformed.expectClose();
  const trailing = await connectRaw(broker.mqttPort);
  trailing.send(connect({ ...user, clientId: unique(), trailer: secrets.payload }));
  await trailing.expectClose();
  const key = createHmac('sha1', secrets.hmacKey).update('node').digest('base64');
  await connected(broker.mqttPort, { clientId: 'node', username: 'nodes', password: key });
  const scram = new ScramClient('ann', secrets.wrong);
  const proves = await connectRaw(broker.mqttPort, { version: 5 });
  const said = (text: string) => ({
    authenticationMethod: 'SCRAM-SHA-256',
    authenticationData: Buffer.from(text),
  });
  const clientId = unique('scram');
  proves.send(connect({ version: 5, clientId, properties: said(scram.first) }));
  const challenge = await proves.expect('auth');
  const { message } = scram.final(String(challenge.properties.authenticationData));
  proves.send(auth({ reason: 0x18, properties: said(message) }));
  await proves.expect('connack', { reason: 0x87 });
  for (const token of [secrets.token, secrets.wrong]) {
    const answer = await fetch(`http://127.0.0.1:${broker.opsPort}/api/v1/nodes`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(answer.status, token === secrets.token ? 200 : 401);
  }
  await logged(broker, clientId, 'connection refused');
  assert.equal(await broker.end(), 0);

  const logs = broker.logs();
  assert.ok(linesOf(broker).some(({ level }) => level === 'debug'));
  for (const secret of [...Object.values(secrets), key, message]) {
    const bytes = Buffer.from(secret);
    // Base64 in the middle of more bytes begins at one of three places; hex and lists of numbers.
    const shapes = [secret, bytes.toString('hex'), bytes.subarray(0, 6).join(',')];
    for (let at = 0; at < 3; at += 1) {
      const rest = bytes.subarray(at);
      shapes.push(rest.subarray(0, rest.length - (rest.length % 3)).toString('base64'));
    }
    for (const shape of shapes) assert.ok(!logs.includes(shape), `${secret} as ${shape}`);
  }
});

test('names of clients and users are shown and not obeyed, in the log and by REST', async (t) => {
  const broker = await startBroker();
  t.after(() => broker.stop());
  const clientId = `${unique('c')}\u009b2J\u202egnp\u2066\u001b]0;title\u0007`;
  const fields = { version: 5, clientId, username: `u\u009b\u202e`, password: 'x' } as const;
  const client = await connected(broker.mqttPort, fields);
  await client.subscribe(`t/\u009b/\u202e`, 1);
  await logged(broker, clientId, 'client connected');
  const url = `http://127.0.0.1:${broker.opsPort}/api/v1/clients/${encodeURIComponent(clientId)}`;
  const body = await (await fetch(url)).text();
  assert.equal((JSON.parse(body) as { clientId: string }).clientId, clientId);
  client.destroy();
  await logged(broker, clientId, 'client disconnected');
  assert.equal(broker.logs(), visible(broker.logs()));
  assert.equal(body, visible(body));
});
