// A will is a publish by the one who leaves it: where he may not publish, CONNECT is refused.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { runPasswd } from '@lmqtt/ds/auth/passwd';
import type { ConnectFields, Version } from '../harness/packets.ts';
import { auth, connect } from '../harness/packets.ts';
import { ScramClient } from '../harness/scram.ts';
import { Suite } from '../harness/suite.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-will-rights-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const aclFile = join(folder, 'acl');
writeFileSync(
  aclFile,
  [
    'allow user=ann all ann/#',
    'allow all publish c/%c',
    'allow all subscribe #',
    'allow user=ann subscribe other/#',
  ].join('\n'),
);
const passwordFile = join(folder, 'users');
await runPasswd(['--file', passwordFile, '--stdin', 'add', 'ann'], {
  input: Readable.from(['right\n']),
  output: new PassThrough(),
  errors: new PassThrough(),
});
const suite = new Suite({
  together: true,
  settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile, ALLOW_ANONYMOUS: 'true' },
});

const ann = { username: 'ann', password: 'right' };

function fieldsOf(version: Version, topic: string, more: ConnectFields = {}): ConnectFields {
  return { version, clientId: unique('c').slice(-20), will: { topic, qos: 1 }, ...more };
}

async function answered(fields: ConnectFields, reason: number): Promise<RawClient> {
  const client = await suite.open();
  await client.connect({ ...fields, reason });
  if (reason !== 0) await client.expectClose();
  return client;
}

void describe('a will that its client may not publish', { concurrency: true }, () => {
  for (const version of [3, 4, 5] as const) {
    const refused = version === 5 ? 0x87 : 5;

    void test(`version ${version}: CONNECT is refused with ${refused}`, async () => {
      await answered(fieldsOf(version, 'ann/1', ann), 0);
      await answered(fieldsOf(version, 'other/1', ann), refused);
      await answered(fieldsOf(version, 'ann/1'), refused);
      await answered(fieldsOf(version, '$SYS/broker/version', ann), refused);
      const clientId = unique('c').slice(-20);
      await answered(fieldsOf(version, `c/${clientId}`, { clientId }), 0);
      await answered(fieldsOf(version, `c/${clientId}x`, { clientId }), refused);
    });

    void test(`version ${version}: who is refused takes nobody's session over`, async () => {
      const topic = unique('ann/left');
      const watcher = await suite.client(ann);
      await watcher.subscribe(topic, 1);
      const fields = fieldsOf(version, topic, ann);
      const first = await answered(fields, 0);
      await answered({ ...fields, will: { topic: 'other/1', qos: 1 } }, refused);
      await first.ping();
      first.destroy();
      await watcher.receive({ topic });
    });
  }

  void test('enhanced authentication: refused with 0x87 by the name that was proved', async () => {
    for (const [topic, reason] of [
      ['ann/1', 0],
      ['other/1', 0x87],
    ] as const) {
      const scram = new ScramClient('ann', 'right');
      const saying = (text: string) => ({
        authenticationMethod: 'SCRAM-SHA-256',
        authenticationData: Buffer.from(text),
      });
      const client = await suite.open();
      client.version = 5;
      client.send(connect(fieldsOf(5, topic, { properties: saying(scram.first) })));
      const { properties } = await client.expect('auth', { reason: 0x18 });
      const final = scram.final(String(properties.authenticationData));
      client.send(auth({ reason: 0x18, properties: saying(final.message) }));
      await client.expect('connack', { reason });
    }
  });
});
