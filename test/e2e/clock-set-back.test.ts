// A broker whose wall clock is set back, while it runs and while it does not: what is left of a
// message's expiry is never more than its publisher has said.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-clock-'));
const clockFile = join(folder, 'clock');
setClock(0);
after(() => rmSync(folder, { recursive: true, force: true }));
const suite = new Suite({
  nodeArgs: ['--import', new URL('../harness/shifted-clock.js', import.meta.url).href],
  env: { SHIFTED_CLOCK_FILE: clockFile },
});
const expiryS = 600;
const hourMs = 3_600_000;
const noticedMs = 60_000;
const properties = { messageExpiryInterval: expiryS } as const;

/** Whole, however it is read meanwhile. */
function setClock(shiftMs: number): void {
  writeFileSync(`${clockFile}-next`, String(shiftMs));
  renameSync(`${clockFile}-next`, clockFile);
}

/** Every process has that time. */
async function setBack(shiftMs: number): Promise<void> {
  setClock(shiftMs);
  const told = (): string[] => readdirSync(folder).filter((name) => name.startsWith('clock.'));
  const end = performance.now() + noticedMs;
  while (!told().every((name) => readFileSync(join(folder, name), 'utf8') === String(shiftMs))) {
    assert.ok(performance.now() < end, 'a process has the time');
    await delay(10);
  }
}

/** Awaits the messages, in any order, each with no more than its whole expiry. */
async function expectCapped(client: RawClient, payloads: readonly string[]): Promise<void> {
  const came: string[] = [];
  while (came.length < payloads.length) {
    const { payload, properties: got } = await client.receive();
    const leftS = got.messageExpiryInterval ?? 0;
    assert.ok(leftS > 0 && leftS <= expiryS, `${payload.toString()}: ${leftS} s are left`);
    came.push(payload.toString());
  }
  assert.deepEqual(came.toSorted(), payloads.toSorted());
}

void test('after the clock was set back a message has no more expiry than it had', async () => {
  const topic = unique('expiry');
  const session = { version: 5, clientId: unique('absent'), clean: false } as const;
  const lasting = { ...session, properties: { sessionExpiryInterval: 3600 } };
  const absent = await suite.client(lasting);
  await absent.subscribe([`${topic}/#`, `$share/group/${topic}/#`], 1);
  absent.destroy();
  const publisher = await suite.client({ version: 5 });
  const leaver = await suite.client({
    version: 5,
    will: { topic: `${topic}/will`, payload: 'will', qos: 1, retain: true, properties },
  });
  const watcher = await suite.client({ version: 5 });
  await watcher.subscribe(`${topic}/will`, 1);
  leaver.destroy();
  await expectCapped(watcher, ['will']);
  for (const qos of [1, 2] as const)
    await publisher.publish(`${topic}/qos${qos}`, `queued ${qos}`, { qos, properties });
  await publisher.publish(`${topic}/retained`, 'retained', { qos: 1, retain: true, properties });

  for (const [round, shiftMs] of [-hourMs, -2 * hourMs].entries()) {
    await setBack(shiftMs);
    if (round > 0) await suite.broker.restart();
    const late = await suite.client({ version: 5 });
    await late.subscribe(`${topic}/#`, 1);
    await expectCapped(late, ['will', 'retained']);
    // Nothing is acknowledged: it all comes again after the restart.
    const back = await suite.client({ ...lasting, sessionPresent: true });
    const came = new Set<string>();
    while (came.size < 4) {
      const { payload, properties: got } = await back.find('publish');
      const leftS = got.messageExpiryInterval ?? 0;
      assert.ok(leftS > 0 && leftS <= expiryS, `${payload.toString()}: ${leftS} s are left`);
      came.add(payload.toString());
    }
    back.destroy();
  }
  const live = await suite.client({ version: 5 });
  await live.subscribe(topic, 1);
  const again = await suite.client({ version: 5 });
  for (const qos of [0, 1, 2] as const)
    await again.publish(topic, `live ${qos}`, { qos, properties });
  await expectCapped(live, ['live 0', 'live 1', 'live 2']);
});
