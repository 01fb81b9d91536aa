// Events of clients, as messages below $SYS/clients.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const rulesFile = join(process.env['TMPDIR'] ?? '/tmp', `${unique('presence')}.acl`);
const copy = 'presence/events';
writeFileSync(
  rulesFile,
  `allow client=watcher all $SYS/#\nallow client=watcher all #\nallow all all open/#\n`,
);
const suite = new Suite({
  settings: { PRESENCE: 'on', PRESENCE_TOPIC: copy, ACL_FILE: rulesFile },
});

interface Told {
  readonly clientId: string;
  readonly eventType: string;
  readonly eventTime: number;
  readonly eventInfo: string;
  readonly ip: string;
  readonly endedBy?: string;
  readonly sessionPresent?: boolean;
  readonly filters?: readonly unknown[];
}

const lasting = {
  version: 5,
  clientId: 'watcher',
  clean: false,
  properties: { sessionExpiryInterval: 600 },
} as const;

/** The next event of that kind, as it is published below the client's own topic. */
async function next(watcher: RawClient, clientId: string, event: string): Promise<Told> {
  const topic = `$SYS/clients/${clientId}/${event}`;
  const { payload, packetId } = await watcher.find('publish', { topic });
  watcher.sendAck('puback', packetId);
  const told = JSON.parse(payload.toString()) as Told;
  assert.equal(told.clientId, decodeURIComponent(clientId));
  return told;
}

void describe('presence', () => {
  void test('a client comes, subscribes and goes; whoever may read it hears of it', async () => {
    const watcher = await suite.client({ version: 5, clientId: 'watcher' });
    await watcher.subscribe(['$SYS/clients/#', copy], 1);
    const clientId = unique('c');
    const client = await suite.client({ version: 5, clientId });
    await client.subscribe('open/x', 1);
    client.sendSubscribe({ packetId: 99, filters: ['$SYS/clients/#'] });
    await client.expect('suback', { packetId: 99, reasons: [0x87] });
    await client.unsubscribe('open/x');
    await client.disconnect();
    const connected = await next(watcher, clientId, 'connected');
    assert.equal(connected.eventType, 'CLIENT_CONNECT');
    assert.equal(connected.sessionPresent, false);
    assert.match(connected.ip, /127\.0\.0\.1/);
    const { filters } = await next(watcher, clientId, 'subscribed');
    assert.deepEqual(filters, [{ filter: 'open/x', qos: 1 }]);
    assert.deepEqual((await next(watcher, clientId, 'unsubscribed')).filters, ['open/x']);
    const { endedBy, eventType } = await next(watcher, clientId, 'disconnected');
    assert.deepEqual([eventType, endedBy], ['CLIENT_DISCONNECT', 'client']);
    await watcher.find('publish', { topic: copy });
  });

  void test('takeover, lost connections and expiry', async () => {
    const watcher = await suite.client({ version: 5, clientId: 'watcher' });
    await watcher.subscribe('$SYS/clients/#', 1);
    const clientId = unique('a');
    const fields = {
      version: 5,
      clientId: `${clientId}/b`,
      clean: false,
      properties: { sessionExpiryInterval: 1 },
    } as const;
    await suite.client(fields);
    const second = await suite.client(fields);
    const name = `${clientId}%2Fb`;
    await next(watcher, name, 'connected');
    assert.equal((await next(watcher, name, 'takeover')).eventType, 'CLIENT_TAKEOVER');
    assert.equal((await next(watcher, name, 'disconnected')).eventInfo, 'taken over');
    assert.equal((await next(watcher, name, 'connected')).sessionPresent, true);
    second.destroy();
    assert.equal((await next(watcher, name, 'disconnected')).endedBy, 'network');
    assert.equal((await next(watcher, name, 'expired')).eventType, 'CLIENT_SESSION_EXPIRED');
  });

  void test('the order of one client is kept, and nothing is missing', async () => {
    const watcher = await suite.client({ version: 5, clientId: 'watcher' });
    const clientId = unique('often');
    await watcher.subscribe(`$SYS/clients/${clientId}/+`, 1);
    for (let round = 0; round < 20; round += 1) {
      const client = await suite.client({ version: 5, clientId });
      await client.disconnect();
    }
    for (let round = 0; round < 20; round += 1) {
      for (const event of ['connected', 'disconnected']) {
        const { topic, packetId } = await watcher.expect('publish');
        watcher.sendAck('puback', packetId);
        assert.equal(topic, `$SYS/clients/${clientId}/${event}`);
      }
    }
    await watcher.expectNothing();
  });

  void test('over the death of the node that has the store', async () => {
    const watcher = await suite.client(lasting);
    await watcher.subscribe('$SYS/clients/#', 1);
    const clientId = unique('killed');
    await suite.client({ ...lasting, clientId });
    await next(watcher, clientId, 'connected');
    // Its session ends with its connection.
    const passing = unique('passing');
    await suite.client({ version: 5, clientId: passing });
    await next(watcher, passing, 'connected');
    await watcher.disconnect();
    await suite.broker.kill();
    await suite.broker.restart();
    const back = await suite.client({ ...lasting, sessionPresent: true });
    assert.equal((await next(back, clientId, 'disconnected')).endedBy, 'server');
    assert.equal((await next(back, passing, 'disconnected')).endedBy, 'server');
  });
});
