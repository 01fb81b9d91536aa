// Modules of the operator's own: the example, and modules that fail in every way.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { startBroker } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-module-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const example = join(import.meta.dirname, '../../../examples/auth-module.mjs');

function moduleOf(text: string): string {
  const path = join(folder, `${unique('m')}.mjs`);
  writeFileSync(path, text);
  return path;
}

async function acknowledged(client: RawClient, topic: string): Promise<number> {
  const packetId = client.nextPacketId();
  client.sendPublish({ topic, qos: 1, packetId });
  return (await client.find('puback', { packetId })).reason;
}

void describe('the example of a module', () => {
  const suite = new Suite({ settings: { AUTH_MODULE: example, ALLOW_ANONYMOUS: 'false' } });

  void test('lets devices in by their HMAC, with rights below their identifier', async () => {
    for (const version of [3, 4, 5] as const) {
      const clientId = unique();
      const password = createHmac('sha1', 'secret').update(clientId).digest('base64');
      const client = await suite.client({ version, clientId, username: 'device', password });
      const wrong = await suite.open();
      const reason = version === 5 ? 0x86 : 4;
      const fields = { version, clientId: unique(), username: 'device', password };
      await wrong.connect({ ...fields, reason });
      const other = await suite.open();
      await other.connect({ ...fields, username: 'x', reason });
      if (version < 5) continue;
      assert.equal(await acknowledged(client, `devices/${clientId}/up`), 0x10);
      assert.equal(await acknowledged(client, `devices/${clientId}/command`), 0x87);
      assert.equal(await acknowledged(client, 'devices/other/up'), 0x87);
      const filters = [`devices/${clientId}/#`, 'devices/#', '#', 'devices/other'];
      await client.subscribe(filters, 1, { reasons: [1, 1, 1, 0x87] });
    }
  });
});

void describe('a module that fails', () => {
  const path = moduleOf(`
    export default {
      async authenticate({ username, clientid, password, peerhost, proto_ver }) {
        if (username === 'throws') throw new Error('of its own');
        if (username === 'slow') return new Promise(() => {});
        if (username === 'odd') return 5;
        if (username === 'rules') return { result: 'allow', acl: 'none' };
        if (username === 'seen') {
          const seen = [clientid, String(password), peerhost, proto_ver].join();
          return seen === 'the-client,p,127.0.0.1,5' ? 'allow' : 'deny';
        }
        return 'allow';
      },
      authorise({ action, topic, username }) {
        if (topic === 'throws') throw new Error('of its own');
        if (topic === 'odd') return 'yes';
        if (topic === 'promise') return Promise.resolve(true);
        return action === 'subscribe' ? username !== 'deaf' : undefined;
      },
    };
  `);
  const suite = new Suite({
    settings: { AUTH_MODULE: path, AUTH_MODULE_TIMEOUT_MS: '300', ALLOW_ANONYMOUS: 'false' },
  });

  void test('refuses the client or the topic, is counted and told', async () => {
    for (const username of ['throws', 'slow', 'odd', 'rules']) {
      for (const version of [4, 5] as const) {
        const client = await suite.open();
        const reason = version === 5 ? 0x88 : 3;
        await client.connect({ version, clientId: unique(), username, password: 'p', reason });
        await client.expectClose();
      }
    }
    await suite.client({ version: 5, clientId: 'the-client', username: 'seen', password: 'p' });
    const client = await suite.client({ version: 5, clientId: unique(), username: 'ann' });
    for (const topic of ['throws', 'odd', 'promise'])
      assert.equal(await acknowledged(client, topic), 0x87, topic);
    assert.equal(await acknowledged(client, 'good'), 0x10);
    await client.subscribe(['good', 'throws', '$share/g/odd'], 0, { reasons: [0, 0x87, 0x87] });
    const deaf = await suite.client({ version: 4, clientId: unique(), username: 'deaf' });
    await deaf.subscribe(['good'], 0, { reasons: [0x80] });
    assert.match(suite.broker.logs(), /"problem":"of its own"[^\n]*AUTH_MODULE fails/);
  });

  void test('one that cannot be loaded ends the start with a line', async () => {
    const wrong: Record<string, RegExp> = {
      [join(folder, 'nowhere.mjs')]: /nowhere/,
      [moduleOf('export const x = 1;')]: /default export/,
      [moduleOf('export default {};')]: /neither authenticate nor authorise/,
      [moduleOf('export default { authenticate: 5 };')]: /authenticate is no function/,
      [moduleOf('export default () => { throw new Error("no key"); };')]: /no key/,
      [moduleOf('export default {{')]: /AUTH_MODULE/,
    };
    for (const [module, expected] of Object.entries(wrong))
      await assert.rejects(startBroker({ settings: { AUTH_MODULE: module } }), expected);
  });
});
