// Receipts: what became of a message at each client, for publishers that ask for it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const rulesFile = join(process.env['TMPDIR'] ?? '/tmp', `${unique('receipts')}.acl`);
writeFileSync(
  rulesFile,
  'deny all publish closed/#\nallow all all #\nallow all publish $lmqtt/#\n',
);
const suite = new Suite({ settings: { ACL_FILE: rulesFile } });

interface Receipt {
  readonly topic: string;
  readonly clientId: string;
  readonly outcome: string;
  readonly at: number;
  readonly qos: number;
  readonly id?: string;
}

const asking = (topic: string, id = 'i'): { userProperties: [string, string][] } => ({
  userProperties: [
    ['lmqtt-receipt', topic],
    ['lmqtt-receipt-id', id],
  ],
});

async function next(reader: RawClient): Promise<Receipt> {
  const { payload } = await reader.receive({ qos: 1 });
  return JSON.parse(payload.toString()) as Receipt;
}

void describe('receipts', () => {
  for (const qos of [1, 2] as const) {
    for (const version of [4, 5] as const) {
      void test(`of a message at QoS ${qos} to a client of version ${version}`, async () => {
        const topic = unique('asked');
        const receipts = `${topic}/receipts`;
        const reader = await suite.client({ version: 5 });
        await reader.subscribe(receipts, 1);
        const clientId = unique('c');
        const subscriber = await suite.client({ version, clientId });
        await subscriber.subscribe(topic, 2);
        const publisher = await suite.client({ version: 5 });
        const sentMs = Date.now();
        await publisher.publish(topic, 'x', { qos, properties: asking(receipts, 'one') });
        await publisher.publish(topic, 'no receipt', { qos });
        await subscriber.receive({ payload: 'x' });
        const { at, ...told } = await next(reader);
        assert.deepEqual(told, { topic, clientId, outcome: 'acknowledged', qos, id: 'one' });
        assert.ok(at >= sentMs && at <= Date.now());
        await subscriber.receive({ payload: 'no receipt' });
        await reader.expectNothing();
      });
    }
  }

  void test('of each client, after a reconnect, and of a refusal', async () => {
    const topic = unique('many');
    const receipts = `${topic}/receipts`;
    const reader = await suite.client({ version: 5 });
    await reader.subscribe(receipts, 1);
    const lasting = {
      version: 5,
      clientId: unique('absent'),
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    } as const;
    const absent = await suite.client(lasting);
    await absent.subscribe(topic, 1);
    await absent.disconnect();
    const refusing = await suite.client({ version: 5, clientId: unique('refusing') });
    await refusing.subscribe(topic, 1);
    const publisher = await suite.client({ version: 5 });
    await publisher.publish(topic, 'x', { qos: 1, properties: asking(receipts) });
    const { packetId } = await refusing.find('publish', { topic });
    refusing.sendAck('puback', packetId, { reason: 0x83 });
    assert.equal((await next(reader)).outcome, 'refused');
    const back = await suite.client({ ...lasting, sessionPresent: true });
    await back.receive({ payload: 'x' });
    const { outcome, clientId } = await next(reader);
    assert.deepEqual([outcome, clientId], ['acknowledged', lasting.clientId]);
  });

  void test('of a message that expired before its client came', async () => {
    const topic = unique('expired');
    const receipts = `${topic}/receipts`;
    const reader = await suite.client({ version: 5 });
    await reader.subscribe(receipts, 1);
    const clientId = unique('late');
    const lasting = {
      version: 5,
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    } as const;
    const first = await suite.client(lasting);
    await first.subscribe(topic, 1);
    await first.disconnect();
    const publisher = await suite.client({ version: 5 });
    const properties = { ...asking(receipts), messageExpiryInterval: 1 };
    await publisher.publish(topic, 'x', { qos: 1, properties });
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await suite.client({ ...lasting, sessionPresent: true });
    const told = await next(reader);
    assert.deepEqual([told.outcome, told.clientId], ['expired', clientId]);
  });

  void test('go where the publisher may publish; and nobody else speaks for the broker', async () => {
    const publisher = await suite.client({ version: 5 });
    const send = async (reason: number, properties: object): Promise<void> => {
      publisher.sendPublish({ topic: 't', payload: 'x', qos: 1, packetId: 9, properties });
      await publisher.expect('puback', { packetId: 9, reason });
    };
    await send(0x87, asking('closed/x'));
    await send(0x99, asking('a/+'));
    await send(0x99, asking('$SYS/x'));
    const forged = JSON.stringify({ to: 'closed/x', receipt: {} });
    const forge = { topic: '$lmqtt/receipt', payload: forged } as const;
    publisher.sendPublish({ ...forge, qos: 1, packetId: 9 });
    await publisher.expect('puback', { packetId: 9, reason: 0x87 });
    const old = await suite.client();
    old.sendPublish(forge);
    await old.expectEnd();
  });
});
