import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { runPasswd } from '@lmqtt/ds/auth/passwd';
import type { ConnectFields } from '../harness/packets.ts';
import { auth, connect, pingreq, publish, subscribe } from '../harness/packets.ts';
import type { PropertiesToSend } from '../harness/properties.ts';
import { ScramClient } from '../harness/scram.ts';
import type { RawClient } from '../harness/wire.ts';
import { unique } from '../harness/wire.ts';
import { Suite, protocolError, together } from './v5.ts';

const method = 'SCRAM-SHA-256';
const longMethod = 'SCRAM-SHA-512';
const continues = 0x18;
const reAuthenticates = 0x19;
const users: readonly [string, string][] = [
  ['ann', 'correct horse'],
  ['b,ob=é', 'pässwörd'],
];

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-users-'));
const file = join(folder, 'users');

// Before the broker starts: hooks of a file do not wait for each other.
for (const [user, password] of users) {
  const errors = new PassThrough();
  const io = { input: Readable.from([`${password}\n`]), output: new PassThrough(), errors };
  const code = await runPasswd(['--file', file, '--stdin', 'add', user], io);
  assert.equal(code, 0, String(errors.read()));
}
const suite = new Suite({ PASSWORD_FILE: file, ALLOW_ANONYMOUS: 'true' });
after(() => rmSync(folder, { recursive: true, force: true }));

/** Properties of AUTH or CONNECT with this text as Authentication Data. */
const saying = (text: string, more: PropertiesToSend = {}): PropertiesToSend => ({
  authenticationMethod: method,
  authenticationData: Buffer.from(text),
  ...more,
});

/** Sends CONNECT with the client-first-message, and gives the server-first-message. */
async function challenged(
  client: RawClient,
  scram: ScramClient,
  fields: ConnectFields = {},
): Promise<string> {
  const properties = saying(scram.first, fields.properties as PropertiesToSend | undefined);
  client.send(connect({ version: 5, clientId: unique(), ...fields, properties }));
  const packet = await client.expect('auth', {
    reason: continues,
    properties: { authenticationMethod: method },
  });
  return String(packet.properties.authenticationData);
}

function answer(client: RawClient, text: string): void {
  client.send(auth({ reason: continues, properties: saying(text) }));
}

async function authenticated(
  user: string = 'ann',
  password: string = 'correct horse',
  fields: ConnectFields = {},
): Promise<RawClient> {
  const client = await suite.raw();
  const scram = new ScramClient(user, password);
  const final = scram.final(await challenged(client, scram, fields));
  answer(client, final.message);
  const connack = await client.expect('connack', {
    reason: 0,
    properties: { authenticationMethod: method },
  });
  assert.equal(String(connack.properties.authenticationData), final.verifier);
  return client;
}

/** CONNACK of 0x80 or above, or (allowed, and not what we do) nothing, and a close. */
async function rejected(client: RawClient, reasons: readonly number[]): Promise<void> {
  const { reason } = await client.expect('connack', { sessionPresent: false });
  assert.ok(reasons.includes(reason), `connack reason 0x${reason.toString(16)}`);
  await client.expectClose();
}

describe('MQTT 5 enhanced authentication', together, () => {
  for (const [user, password] of users) {
    test(`[MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.15.2-1] SCRAM-SHA-256 as ${user}`, async () => {
      const client = await authenticated(user, password);
      const topic = unique();
      await client.subscribe(topic, 1);
      await client.publish(topic, 'x', { qos: 1 });
      await client.receive({ topic });
    });
  }

  test('[MQTT-4.12.0-2] [MQTT-4.12.1-1] SCRAM-SHA-512, in CONNECT and again while connected', async () => {
    const client = await suite.raw();
    const said = (text: string): PropertiesToSend =>
      saying(text, { authenticationMethod: longMethod });
    const first = new ScramClient('ann', 'correct horse', undefined, 'sha512');
    client.send(connect({ version: 5, clientId: unique(), properties: said(first.first) }));
    const asked = await client.expect('auth', { reason: continues });
    assert.equal(asked.properties.authenticationMethod, longMethod);
    const final = first.final(String(asked.properties.authenticationData));
    client.send(auth({ reason: continues, properties: said(final.message) }));
    const connack = await client.expect('connack', { reason: 0 });
    assert.equal(String(connack.properties.authenticationData), final.verifier);
    const second = new ScramClient('ann', 'correct horse', undefined, 'sha512');
    client.send(auth({ reason: reAuthenticates, properties: said(second.first) }));
    const again = await client.expect('auth', { reason: continues });
    const last = second.final(String(again.properties.authenticationData));
    client.send(auth({ reason: continues, properties: said(last.message) }));
    const done = await client.expect('auth', { reason: 0 });
    assert.equal(String(done.properties.authenticationData), last.verifier);
    const other = new ScramClient('ann', 'correct horse');
    client.send(auth({ reason: reAuthenticates, properties: saying(other.first) }));
    await client.expectDisconnect([protocolError, 0x8c]);
  });

  test('[MQTT-4.12.0-4] SCRAM-SHA-512 with a wrong password or the other hash is refused', async () => {
    for (const [password, hash] of [
      ['wrong', 'sha512'],
      ['correct horse', 'sha256'],
    ] as const) {
      const client = await suite.raw();
      const said = (text: string): PropertiesToSend =>
        saying(text, { authenticationMethod: longMethod });
      const scram = new ScramClient('ann', password, undefined, hash);
      client.send(connect({ version: 5, clientId: unique(), properties: said(scram.first) }));
      const asked = await client.expect('auth', { reason: continues });
      const { message } = scram.final(String(asked.properties.authenticationData));
      client.send(auth({ reason: continues, properties: said(message) }));
      await rejected(client, [0x86, 0x87]);
    }
  });

  test('[MQTT-4.12.0-5] a client id is assigned and a session resumed as without it', async () => {
    const clientId = unique();
    const properties = { sessionExpiryInterval: 60 };
    const first = await authenticated('ann', 'correct horse', { clientId, properties });
    await first.disconnect();
    const second = await suite.raw();
    const scram = new ScramClient('ann', 'correct horse');
    const fields = { clientId, clean: false, properties };
    answer(second, scram.final(await challenged(second, scram, fields)).message);
    await second.expect('connack', { reason: 0, sessionPresent: true });
    const third = await suite.raw();
    const again = new ScramClient('ann', 'correct horse');
    answer(third, again.final(await challenged(third, again, { clientId: '' })).message);
    const connack = await third.expect('connack', { reason: 0 });
    assert.notEqual(connack.properties.assignedClientIdentifier ?? '', '');
  });

  test('[MQTT-4.12.0-4] a wrong password is refused with 0x86 or 0x87', async () => {
    const client = await suite.raw();
    const scram = new ScramClient('ann', 'wrong');
    answer(client, scram.final(await challenged(client, scram)).message);
    await rejected(client, [0x86, 0x87]);
  });

  test('[MQTT-4.12.0-4] an unknown user is asked like a known one, with the same salt each time, and refused', async () => {
    const salts = new Set<string>();
    for (let round = 0; round < 2; round += 1) {
      const client = await suite.raw();
      const scram = new ScramClient('nobody', 'x');
      const question = await challenged(client, scram);
      salts.add(question.slice(question.indexOf(',s=')));
      answer(client, scram.final(question).message);
      await rejected(client, [0x86, 0x87]);
    }
    assert.equal(salts.size, 1);
  });

  test('[MQTT-4.12.0-4] an answer with another nonce, binding or no proof is refused', async () => {
    const changes: ((message: string) => string)[] = [
      (message) => message.replace(/r=[^,]+/, 'r=somethingelse'),
      (message) => message.replace('c=biws', 'c=eSws'),
      (message) => message.replace(/,p=.*/, ''),
      (message) => message.replace(/p=.*/, `p=${Buffer.alloc(32).toString('base64')}`),
      (message) => message.replace(/p=.*/, 'p=short'),
      () => '',
    ];
    for (const change of changes) {
      const client = await suite.raw();
      const scram = new ScramClient('ann', 'correct horse');
      answer(client, change(scram.final(await challenged(client, scram)).message));
      const { reason } = await client.expect('connack');
      assert.ok(reason >= 0x80);
      await client.expectClose();
    }
  });

  test('[MQTT-4.12.0-4] a first message that is not SCRAM is refused', async () => {
    const firsts = ['', 'nonsense', 'n,,n=ann', 'p=tls-unique,,n=ann,r=abc', 'n,,m=x,n=ann,r=abc'];
    for (const first of firsts) {
      const client = await suite.raw();
      client.send(connect({ version: 5, clientId: unique(), properties: saying(first) }));
      const { reason } = await client.expect('connack');
      assert.ok(reason >= 0x80);
      await client.expectClose();
    }
  });

  test('[MQTT-4.12.0-4] an old answer to a new question is refused', async () => {
    const scram = new ScramClient('ann', 'correct horse');
    const first = await suite.raw();
    const { message } = scram.final(await challenged(first, scram));
    answer(first, message);
    await first.expect('connack', { reason: 0 });
    const second = await suite.raw();
    await challenged(second, scram);
    answer(second, message);
    await rejected(second, [0x86, 0x87]);
  });

  test('[MQTT-4.12.0-1] an unknown method is refused with 0x8C', async () => {
    for (const unknown of ['SCRAM-SHA-1', 'scram-sha-256', 'PLAIN', '']) {
      const client = await suite.raw();
      const properties = { authenticationMethod: unknown };
      client.send(connect({ version: 5, clientId: unique(), properties }));
      await rejected(client, [0x8c]);
    }
  });

  test('[MQTT-4.12.0-6] without a method there is no AUTH and no method in CONNACK', async () => {
    const client = await suite.raw();
    const [user, password] = users[0] ?? ['', ''];
    const connack = await client.connect({ clientId: unique(), username: user, password });
    assert.equal(connack.properties.authenticationMethod, undefined);
    assert.equal(connack.properties.authenticationData, undefined);
    await client.expectNothing();
  });

  test('[MQTT-4.12.0-7] AUTH without a method in CONNECT is a protocol error', async () => {
    for (const reason of [continues, reAuthenticates, 0]) {
      const client = await suite.client();
      client.send(auth({ reason, properties: saying('x') }));
      await client.expectDisconnect(protocolError);
    }
  });

  test('[MQTT-3.1.4-2] a wrong password of a plain CONNECT is refused too', async () => {
    const client = await suite.raw();
    client.send(connect({ version: 5, clientId: unique(), username: 'ann', password: 'wrong' }));
    await rejected(client, [0x86, 0x87]);
  });

  const outOfTurn: [string, Buffer][] = [
    ['PUBLISH', publish({ version: 5, topic: 't', payload: 'x' })],
    ['SUBSCRIBE', subscribe({ version: 5, filters: ['t'] })],
    ['PINGREQ', pingreq()],
    ['CONNECT', connect({ version: 5, clientId: 'again' })],
    [
      'AUTH of another method',
      auth({ reason: continues, properties: { authenticationMethod: 'x' } }),
    ],
    ['AUTH 0x19', auth({ reason: reAuthenticates, properties: saying('x') })],
    ['AUTH 0x00', auth({ reason: 0, properties: saying('x') })],
    ['AUTH without a method', auth({ reason: continues, properties: {} })],
  ];
  for (const [name, bytes] of outOfTurn) {
    test(`[MQTT-3.1.2-30] [MQTT-3.14.0-1] [MQTT-4.12.0-3] ${name} in the middle of it is refused without DISCONNECT`, async () => {
      const client = await suite.raw();
      await challenged(client, new ScramClient('ann', 'correct horse'));
      client.send(bytes);
      const last = await client.next().catch(() => undefined);
      if (last) {
        assert.equal(last.type, 'connack');
        assert.ok('reason' in last && last.reason >= 0x80);
      }
      await client.expectClose();
    });
  }

  test('[MQTT-3.1.4-6] DISCONNECT in the middle of it closes, and no session or will is left', async () => {
    const [clientId, topic] = [unique(), unique()];
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    const client = await suite.raw();
    await challenged(client, new ScramClient('ann', 'correct horse'), {
      clientId,
      will: { topic, payload: 'never' },
      properties: { sessionExpiryInterval: 60 },
    });
    client.send(Buffer.from([0xe0, 2, 4, 0]));
    await client.expectClose();
    await suite.nothingElse(watcher);
    await suite.client({ clientId, clean: false, sessionPresent: false });
  });

  test('[MQTT-4.12.0-4] a refused client does not take over the session of its client id', async () => {
    const clientId = unique();
    const first = await authenticated('ann', 'correct horse', { clientId });
    const second = await suite.raw();
    const scram = new ScramClient('ann', 'wrong');
    answer(second, scram.final(await challenged(second, scram, { clientId })).message);
    await rejected(second, [0x86, 0x87]);
    await first.expectNothing();
  });

  test('[MQTT-3.15.2-2] [MQTT-3.15.2-3] AUTH fits the maximum packet size of the client, or the connection is refused', async () => {
    const client = await suite.raw();
    const properties = saying(new ScramClient('ann', 'x').first, { maximumPacketSize: 40 });
    client.send(connect({ version: 5, clientId: unique(), properties }));
    await client.next().catch(() => undefined);
    await client.expectClose();
    assert.ok(client.received.length <= 40, `${client.received.length} bytes`);
  });
});

describe('MQTT 5 re-authentication', together, () => {
  /** Sends AUTH 0x19 and gives the question of the server. */
  async function asked(client: RawClient, scram: ScramClient): Promise<string> {
    client.send(auth({ reason: reAuthenticates, properties: saying(scram.first) }));
    const packet = await client.find('auth', { reason: continues });
    assert.equal(packet.properties.authenticationMethod, method);
    return String(packet.properties.authenticationData);
  }

  test('[MQTT-4.12.1-1] [MQTT-4.12.0-5] AUTH 0x19 and 0x18 lead to AUTH 0x00, any number of times, while messages flow', async () => {
    const client = await authenticated();
    const topic = unique();
    await client.subscribe(topic, 1);
    const publisher = await suite.client();
    for (let round = 0; round < 3; round += 1) {
      const scram = new ScramClient('ann', 'correct horse');
      const final = scram.final(await asked(client, scram));
      await publisher.publish(topic, `${round}`, { qos: 1 });
      await client.publish(unique(), 'meanwhile', { qos: 1 });
      await client.receive({ payload: `${round}` });
      answer(client, final.message);
      const done = await client.expect('auth', { reason: 0 });
      assert.equal(done.properties.authenticationMethod, method);
      assert.equal(String(done.properties.authenticationData), final.verifier);
    }
    await client.expectNothing();
  });

  test('[MQTT-4.12.1-2] a wrong password ends the connection with 0x86 or 0x87', async () => {
    const client = await authenticated();
    const scram = new ScramClient('ann', 'wrong');
    answer(client, scram.final(await asked(client, scram)).message);
    await client.expectDisconnect([0x86, 0x87]);
  });

  test('[MQTT-4.12.1-1] another method is a protocol error', async () => {
    const client = await authenticated();
    const properties = { authenticationMethod: 'OTHER', authenticationData: Buffer.from('x') };
    client.send(auth({ reason: reAuthenticates, properties }));
    await client.expectDisconnect([protocolError, 0x8c]);
  });

  test('[MQTT-4.12.1-2] AUTH 0x18 that nobody asked for, and AUTH without a method, are protocol errors', async () => {
    const packets = [
      auth({ reason: continues, properties: saying('x') }),
      auth({ reason: 0, properties: saying('x') }),
      auth({ reason: reAuthenticates, properties: {} }),
      auth(),
    ];
    for (const bytes of packets) {
      const client = await authenticated();
      client.send(bytes);
      await client.expectDisconnect(protocolError);
    }
  });

  test('[MQTT-4.12.1-2] the will is published after a failed re-authentication', async () => {
    const topic = unique();
    const watcher = await suite.client();
    await watcher.subscribe(topic, 1);
    const will = { topic, payload: 'gone', qos: 1 };
    const client = await authenticated('ann', 'correct horse', { will });
    const scram = new ScramClient('ann', 'wrong');
    answer(client, scram.final(await asked(client, scram)).message);
    await client.expectDisconnect([0x86, 0x87]);
    await watcher.receive({ topic, payload: 'gone' });
  });
});
