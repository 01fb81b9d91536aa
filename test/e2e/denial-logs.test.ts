// Whoever runs the broker sees who was refused what, with the user's name, and nobody can fill the
// log with it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-denials-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const passwordFile = join(folder, 'passwords');
const aclFile = join(folder, 'rules');
const args = [main, 'passwd', '--file', passwordFile, '--stdin', 'add', 'ann'];
assert.equal(spawnSync(process.execPath, args, { input: 'secret\n' }).status, 0);
writeFileSync(aclFile, 'allow user=ann all open/#\nallow client=* publish open/#\n');
const suite = new Suite({
  settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile, ALLOW_ANONYMOUS: 'true' },
});

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly clientId?: string;
  readonly user?: string;
  readonly topic?: string;
  readonly filter?: string;
  readonly unsaid?: number;
}

/** The log is written in the background. */
async function linesOf(clientId: string, msg: string, count = 1): Promise<Line[]> {
  const end = performance.now() + 20_000;
  for (;;) {
    const found = suite.broker
      .logs()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes(clientId))
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line.clientId === clientId && line.msg === msg);
    if (found.length >= count) return found;
    assert.ok(performance.now() < end, `no line "${msg}" of ${clientId}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

void test('a publish and a subscribe that are denied are told with client, user and topic', async () => {
  for (const version of [4, 5] as const) {
    const clientId = unique('ann');
    const ann = await suite.client({ version, clientId, username: 'ann', password: 'secret' });
    for (const qos of [0, 1, 2]) ann.sendPublish({ topic: `closed/${qos}`, qos, packetId: qos });
    const lines = await linesOf(clientId, 'publish denied', 3);
    assert.deepEqual(
      lines.map(({ level, user, topic }) => [level, user, topic]),
      [0, 1, 2].map((qos) => ['warn', 'ann', `closed/${qos}`]),
    );
    ann.sendSubscribe({ packetId: 7, filters: [{ filter: 'closed/#', qos: 1 }] });
    const [line] = await linesOf(clientId, 'subscribe denied');
    assert.deepEqual([line?.level, line?.user, line?.filter], ['warn', 'ann', 'closed/#']);
    const long = unique('long');
    const other = await suite.client({ clientId: long });
    other.sendPublish({ topic: 'x'.repeat(1000), qos: 0 });
    const [told] = await linesOf(long, 'publish denied');
    assert.equal(told?.user, undefined);
    assert.ok((told?.topic?.length ?? 0) < 300);
  }
});

void test('connected and refused clients are told with their user', async () => {
  const clientId = unique('ann');
  await suite.client({ clientId, username: 'ann', password: 'secret' });
  const [line] = await linesOf(clientId, 'client connected');
  assert.equal(line?.user, 'ann');
  const nobody = unique('nobody');
  await suite.client({ clientId: nobody });
  const [anonymous] = await linesOf(nobody, 'client connected');
  assert.equal(anonymous?.user, undefined);
  for (const version of [4, 5] as const) {
    const wrong = unique('wrong');
    const client = await suite.open();
    client.version = version;
    client.send(connect({ version, clientId: wrong, username: 'ann', password: 'x' }));
    await client.expect('connack');
    const [refused] = await linesOf(wrong, 'connection refused');
    assert.deepEqual([refused?.level, refused?.user], ['warn', 'ann']);
  }
});

void test('denied publishes without end are a few lines', async () => {
  const clientId = unique('flood');
  const flood = await suite.client({ version: 5, clientId });
  for (let number = 0; number < 3000; number += 1)
    flood.sendPublish({ topic: `closed/${number}`, qos: 0 });
  await flood.ping();
  flood.sendPublish({ topic: 'closed/last', qos: 1, packetId: 1 });
  await flood.find('puback', { packetId: 1, reason: 0x87 });
  const lines = await linesOf(clientId, 'publish denied', 10);
  assert.ok(lines.length < 30, `${lines.length} lines`);
});
