// A device that leaves a will "Offline" and comes back: whoever watches sees it before the "Online"
// that the device publishes as soon as it is connected, and what is retained in the end is that.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { ConnectFields, Qos, Version } from '../harness/packets.ts';
import { connect, packet } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { connectRaw, type RawClient, unique } from '../harness/wire.ts';

const suite = new Suite({ together: true });
const roundsCount = 3;
const keepAliveEndMs = 15_000;

/** How a connection ends, and what the next one does so that its session ends, too. */
interface End {
  readonly versions: readonly Version[];
  readonly first?: ConnectFields;
  readonly delayS?: number;
  readonly next?: ConnectFields;
  end(client: RawClient): Promise<void> | void;
}

function reset(client: RawClient): void {
  const { stream } = client;
  assert.ok(stream instanceof Socket);
  stream.resetAndDestroy();
}

const all = [3, 4, 5] as const;
const kept = { clean: false, properties: { sessionExpiryInterval: 600 } };
const ends: Readonly<Record<string, End>> = {
  takeover: { versions: all, end: () => {} },
  'takeover of a session that goes on': {
    ...{ versions: all, first: kept, next: kept },
    end: () => {},
  },
  'RST and reconnect': { versions: all, end: reset },
  'RST and reconnect of a session that goes on': {
    ...{ versions: all, first: kept, next: kept },
    end: reset,
  },
  'DISCONNECT 0x04': {
    versions: [5],
    end: (client) => client.send(packet('disconnect', 0, [Buffer.from([4])])),
  },
  'a protocol error': { versions: all, end: (client) => client.send(packet('publish', 6)) },
  'Clean Start of a session that is there': {
    ...{ versions: all, first: kept, next: { clean: true } },
    end: () => {},
  },
  'Clean Start of a session whose will waits': {
    ...{ versions: [5], first: kept, delayS: 600, next: { clean: true } },
    end: reset,
  },
  'the end of keep alive': {
    ...{ versions: all, first: { keepAliveS: 1 } },
    end: (client) => client.expectEnd(keepAliveEndMs),
  },
};

async function round(version: Version, qos: Qos, end: End): Promise<void> {
  const topic = unique('state');
  const clientId = unique('d');
  const watcher = await suite.client();
  await watcher.subscribe(topic, qos);
  const fieldsOf = ({ properties, ...fields }: ConnectFields = {}): ConnectFields => ({
    ...{ version, clientId, ...fields },
    ...(version === 5 && properties !== undefined ? { properties } : {}),
    will: {
      ...{ topic, payload: 'Offline', qos, retain: true },
      ...(end.delayS === undefined ? {} : { properties: { willDelayInterval: end.delayS } }),
    },
  });
  const first = await suite.client(fieldsOf(end.first));
  await first.publish(topic, 'Online 1', { qos, retain: true });
  await watcher.receive({ payload: 'Online 1', qos });
  const next = await connectRaw(suite.port, { version });
  await end.end(first);
  next.send(connect(fieldsOf(end.next)));
  await next.expect('connack', { reason: 0 });
  await next.publish(topic, 'Online 2', { qos, retain: true });
  await watcher.receive({ payload: 'Offline', qos });
  await watcher.receive({ payload: 'Online 2', qos });
  await next.ping();
  const late = await suite.client();
  await late.subscribe(topic, 2);
  await late.receive({ payload: 'Online 2', retain: true });
  await next.disconnect();
  await watcher.expectNothing();
  for (const client of [watcher, late]) await client.disconnect();
}

void describe('a will is before its successor', { concurrency: 4 }, () => {
  for (const [name, end] of Object.entries(ends)) {
    for (const version of end.versions) {
      for (const qos of [0, 1, 2] as const) {
        void test(`${name}, version ${version}, QoS ${qos}`, async () => {
          const slow = end.first?.keepAliveS !== undefined;
          for (let count = slow ? 1 : roundsCount; count > 0; count -= 1)
            await round(version, qos, end);
        });
      }
    }
  }
});
