// MQTT 3.1.1, 3.1.2.10: keep alive, and connections that never send a CONNECT. These tests wait for
// time to pass, so they do it at once.
import { describe, test } from 'node:test';
import { connect, packet, publish } from '../harness/packets.ts';
import { isCluster } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { unique } from '../harness/wire.ts';

const suite = new Suite({ together: true, settings: { CONNECT_TIMEOUT_MS: '1000' } });

describe('keep alive', { concurrency: true }, () => {
  /** Sends one packet every 300 ms, `count` times. */
  async function every300(count: number, send: () => void): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      await new Promise((resolve) => setTimeout(resolve, 300));
      send();
    }
  }

  test('[MQTT-3.1.2-24] [MQTT-3.1.2-8] silence for 1.5 keep alives closes, and the will is published', async () => {
    const topic = unique();
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    const will = { topic, payload: 'the will', qos: 1 };
    const client = await suite.client({ keepAliveS: 1, will });
    const start = performance.now();
    await client.expectClose();
    const ms = performance.now() - start;
    if (ms < 1400 || ms > 3000) throw new Error(`closed after ${ms} ms`);
    await watcher.receive({ payload: 'the will' });
  });

  test('[MQTT-3.1.2-24] a connection that sends something within its keep alive stays', async () => {
    const pinging = await suite.client({ keepAliveS: 1 });
    const publishing = await suite.client({ keepAliveS: 1 });
    await every300(9, () => {
      pinging.send(packet('pingreq', 0));
      publishing.send(publish({ topic: 'a' }));
    });
    for (let index = 0; index < 9; index += 1) await pinging.expect('pingresp');
    await publishing.ping();
  });

  test('[MQTT-3.1.2-24] what the server sends does not keep a silent client', async () => {
    const topic = unique();
    // A subscribe in a cluster takes several ways to and fro.
    const client = await suite.client({ keepAliveS: isCluster ? 2 : 1 });
    await client.subscribe(topic);
    const publisher = await suite.client();
    await every300(10, () => publisher.send(publish({ topic })));
    for (;;) {
      if (client.closed) break;
      await client.expect('publish').catch(() => {});
    }
    if (!publisher.closed) await publisher.ping();
  });

  test('[MQTT-3.1.2-24] keep alive 0 has no limit', async () => {
    const client = await suite.client({ keepAliveS: 0 });
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await client.ping();
  });

  test('a connection without a whole CONNECT is closed after a time', async () => {
    const silent = await suite.open();
    const slow = await suite.open();
    slow.send(connect({ clientId: unique() }).subarray(0, -1));
    await silent.expectClose();
    await slow.expectClose();
  });
});

describe('KEEP_ALIVE_STRICT', { concurrency: true }, () => {
  const lenient = new Suite({ together: true, settings: { KEEP_ALIVE_S_MAX: '100' } });
  const strict = new Suite({
    together: true,
    settings: { KEEP_ALIVE_S_MAX: '100', KEEP_ALIVE_STRICT: 'true' },
  });
  for (const version of [3, 4] as const) {
    test(`version ${version}: no keep alive, or one past KEEP_ALIVE_S_MAX, gets return code 2`, async () => {
      for (const keepAliveS of [0, 101, 65_535]) {
        const client = await strict.open();
        await client.connect({ version, clientId: unique(), keepAliveS, reason: 2 });
        await client.expectClose();
      }
      for (const keepAliveS of [1, 100])
        await (await strict.client({ version, keepAliveS })).disconnect();
    });
  }

  test('version 5 is told another one', async () => {
    for (const keepAliveS of [0, 101]) {
      const client = await strict.open();
      const { properties } = await client.connect({ version: 5, clientId: unique(), keepAliveS });
      if (properties.serverKeepAlive !== 100) throw new Error('no Server Keep Alive');
      await client.disconnect();
    }
  });

  test('without it 3.1.1 clients keep theirs', async () => {
    for (const keepAliveS of [0, 65_535]) await lenient.client({ keepAliveS });
  });
});
