// A ledger over kill -9 of the store's process: what was refused is a dead letter in the end, what was
// replayed arrives; both at least once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Broker } from '../harness/broker.ts';
import { startBroker } from '../harness/shape.ts';
import { closeAllClients, connected, type RawClient } from '../harness/wire.ts';

const kills = Number(process.env['LMQTT_TEST_KILLS'] ?? 20);
const roundMsMax = 400;
const drainMs = 60_000;
const stays = { sessionExpiryInterval: 100_000 };

interface Letter {
  readonly id: string;
  readonly topic: string;
}

class Ledger {
  readonly stored = new Set<number>();
  readonly got = new Set<number>();
  #number = 0;

  /** Publishes one after the other until the connection ends. */
  async publish(client: RawClient): Promise<void> {
    for (;;) {
      this.#number += 1;
      const number = this.#number;
      try {
        await client.publish(`ledger/${number}`, String(number), { qos: 1 });
      } catch {
        return;
      }
      this.stored.add(number);
    }
  }

  /** Refuses odd numbers, or takes all, until the connection ends. */
  async take(client: RawClient, refuses: boolean): Promise<void> {
    for (;;) {
      let number: number;
      let packetId: number;
      try {
        const message = await client.find('publish', {}, drainMs);
        number = Number(message.payload.toString());
        ({ packetId } = message);
      } catch {
        return;
      }
      const isRefused = refuses && number % 2 === 1;
      if (!isRefused) this.got.add(number);
      client.sendAck('puback', packetId, isRefused ? { reason: 0x80 } : {});
    }
  }
}

async function reading(broker: Broker, clientId: string): Promise<RawClient> {
  const client = await connected(broker.mqttPort, {
    ...{ version: 5, clientId, clean: false, properties: stays },
  });
  await client.subscribe('ledger/+', 1);
  return client;
}

async function rest<T>(broker: Broker, method: string, path: string): Promise<T | undefined> {
  const url = `http://127.0.0.1:${broker.opsPort}/api/v1/${path}`;
  const answer = await fetch(url, { method });
  const text = await answer.text();
  assert.ok(answer.ok || answer.status === 404, `${path}: ${answer.status} ${text}`);
  return text === '' ? undefined : (JSON.parse(text) as T);
}

async function letters(broker: Broker): Promise<Letter[]> {
  const all: Letter[] = [];
  for (;;) {
    const after = all.length === 0 ? '' : `&after=${encodeURIComponent(all.at(-1)!.id)}`;
    const page = await rest<{ deadLetters: Letter[] }>(
      ...([broker, 'GET', `dead-letters?limit=1000${after}`] as const),
    );
    all.push(...page!.deadLetters);
    if (page!.deadLetters.length < 1000) return all;
  }
}

function numberOf({ topic }: Letter): number {
  return Number(topic.slice('ledger/'.length));
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + drainMs;
  while (!(await condition())) {
    assert.ok(performance.now() < endMs, what);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** Kills the process that has the store, while `work` goes on. */
async function killDuring(broker: Broker): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * roundMsMax));
  await broker.kill();
  closeAllClients();
  await broker.restart();
}

void test(`dead letters and replays over ${kills} kills`, async (t) => {
  const settings = { SYS_INTERVAL_S: '0', DEAD_LETTER_RATE: '100000', DEAD_LETTERS_MAX: '1000000' };
  const broker = await startBroker({ settings });
  t.after(() => broker.stop());
  t.after(closeAllClients);
  const ledger = new Ledger();
  await reading(broker, 'refuser');
  for (let kill = 0; kill < kills; kill += 1) {
    const refuser = await reading(broker, 'refuser');
    const work = [ledger.take(refuser, true)];
    work.push(ledger.publish(await connected(broker.mqttPort, { version: 5 })));
    await killDuring(broker);
    await Promise.all(work);
  }
  const last = ledger.take(await reading(broker, 'refuser'), true);
  await until('the queue of the reader is empty', async () => {
    const line = await rest<{ queued: number; inflight: number }>(broker, 'GET', 'clients/refuser');
    return line!.queued === 0 && line!.inflight === 0;
  });
  const stored = [...ledger.stored];
  const dead = new Set((await letters(broker)).map(numberOf));
  const lost = stored.filter((number) => number % 2 === 1 && !dead.has(number));
  const odd = stored.filter((number) => number % 2 === 1).length;
  t.diagnostic(`${stored.length} stored, ${odd} refused, ${dead.size} dead, ${lost.length} lost`);
  assert.deepEqual(lost, [], 'refused, and no dead letter');
  for (const number of stored)
    assert.ok(number % 2 === 1 ? dead.has(number) : ledger.got.has(number), `${number} is lost`);
  for (const number of dead) assert.equal(number % 2, 1, `${number} was not refused`);
  await rest(broker, 'DELETE', 'clients/refuser');
  closeAllClients();
  await last;

  // Replayed to somebody who takes all.
  const replays = new Ledger();
  await reading(broker, 'taker');
  for (let kill = 0; kill < kills; kill += 1) {
    const work = replays.take(await reading(broker, 'taker'), false);
    const part = (await letters(broker)).slice(0, Math.ceil(dead.size / kills));
    const replaying = (async () => {
      for (const { id } of part)
        await rest(broker, 'POST', `dead-letters/${encodeURIComponent(id)}/replay`);
    })().catch(() => undefined);
    await killDuring(broker);
    await Promise.all([work, replaying]);
  }
  const taking = replays.take(await reading(broker, 'taker'), false);
  for (const { id } of await letters(broker))
    await rest(broker, 'POST', `dead-letters/${encodeURIComponent(id)}/replay`);
  await until('all that was replayed has arrived', () =>
    Promise.resolve([...dead].every((number) => replays.got.has(number))),
  );
  const missing = [...dead].filter((number) => !replays.got.has(number));
  t.diagnostic(`${dead.size} replayed, ${missing.length} lost`);
  assert.deepEqual(await letters(broker), []);
  closeAllClients();
  await taking;
});
