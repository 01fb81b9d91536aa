// JSON Web Tokens as identities, checked with a secret, with a file of public keys, and with a key
// set that an HTTP server of the test publishes.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { auth, connect, type Version } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { inSeconds, keyPair, secretKey, token } from '../harness/token.ts';
import { type RawClient, unique } from '../harness/wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-tokens-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const versions = [3, 4, 5] as const;
const secretText = 'a secret of more than 32 bytes, as is due';
const secret = secretKey(secretText);

async function refused(suite: Suite, version: Version, password: string): Promise<void> {
  const client = await suite.open();
  const reason = version === 5 ? 0x86 : 4;
  await client.connect({ version, clientId: unique(), username: unique(), password, reason });
  await client.expectClose();
}

void describe('tokens with a secret', () => {
  const suite = new Suite({
    settings: {
      JWT_SECRET: secretText,
      JWT_CLAIMS: 'aud=mqtt tenant.name=acme',
      ALLOW_ANONYMOUS: 'false',
    },
  });
  const claims = { sub: 'ann', aud: ['web', 'mqtt'], tenant: { name: 'acme' } };

  void test('a token in the password lets its user in, in each version', async () => {
    for (const version of versions) {
      const password = token(secret, { ...claims, exp: inSeconds(60) });
      const client = await suite.client({ version, clientId: unique(), username: 'x', password });
      await client.ping();
      const longer = token(secretKey(secretText, 'HS512'), claims);
      await suite.client({ version, clientId: unique(), username: 'x', password: longer });
    }
    // 5.0 knows a password without a user name.
    await suite.client({ version: 5, clientId: unique(), password: token(secret, claims) });
  });

  void test('what is expired, not valid yet, forged or lacks a claim is refused', async () => {
    const good = token(secret, claims);
    const [head = '', payload = ''] = good.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const wrong = [
      token(secret, { ...claims, exp: inSeconds(-30) }),
      token(secret, { ...claims, nbf: inSeconds(600) }),
      token(secretKey('another secret of more than 32 bytes!'), claims),
      token(secret, { ...claims, aud: 'web' }),
      token(secret, { ...claims, tenant: { name: 'other' } }),
      token(secret, { ...claims, sub: undefined }),
      token(secret, { ...claims, sub: 5 }),
      token(secret, { ...claims, acl: { pub: ['a/#/b'] } }),
      token(keyPair('ES256', 'k'), claims),
      `${none}.${payload}.AA`,
      `${none}.${payload}.`,
      `${head}.${payload}.AAAA`,
      'no token',
      '',
    ];
    for (const version of versions)
      for (const password of wrong) await refused(suite, version, password);
    assert.ok(!suite.broker.logs().includes(payload), 'no token goes to the log');
  });

  void test('the rules in the claim are those of the client', async () => {
    const acl = { pub: ['to/%u/${clientid}'], sub: ['from/%u/#', '$SYS/#'] };
    const id = unique();
    const password = token(secret, { ...claims, acl });
    const client = await suite.client({ version: 5, clientId: id, username: 'x', password });
    const filters = [
      { filter: 'from/ann/1', qos: 1 },
      { filter: 'from/ben/1', qos: 1 },
      { filter: '$SYS/#', qos: 0 },
    ] as const;
    await client.subscribe(filters, 1, { reasons: [1, 0x87, 0] });
    assert.equal(await acknowledged(client, `to/ann/${id}`), 0x10);
    assert.equal(await acknowledged(client, 'to/ann/other'), 0x87);
    assert.equal(await acknowledged(client, 'from/ann/1'), 0x87);
    const list = [
      { permission: 'deny', action: 'publish', topic: 'closed/#' },
      { permission: 'allow', action: 'all', topic: '#' },
    ];
    const other = await suite.client({
      ...{ version: 5, clientId: unique(), username: 'x' },
      password: token(secret, { ...claims, acl: list }),
    });
    assert.equal(await acknowledged(other, 'closed/1'), 0x87);
    assert.equal(await acknowledged(other, 'open/1'), 0x10);
  });

  void test('the connection ends with the token, and its session goes on', async () => {
    for (const version of versions) {
      const clientId = unique();
      const properties = { sessionExpiryInterval: 600 };
      const fields = {
        version,
        clientId,
        clean: false,
        username: 'x',
        ...(version === 5 ? { properties } : {}),
      };
      const password = token(secret, { ...claims, exp: inSeconds(2) });
      const client = await suite.client({ ...fields, password });
      await client.subscribe(`late/${clientId}`, 1);
      if (version === 5) {
        const { reason } = await client.find('disconnect');
        assert.equal(reason, 0xa0);
      }
      await client.expectClose();
      const again = token(secret, { ...claims, exp: inSeconds(60) });
      // CONNACK of 3.1 does not say that a session is there.
      await suite.client({ ...fields, password: again, sessionPresent: version > 3 });
    }
  });

  void test('the method JWT renews the token on the open connection', async () => {
    const client = await suite.open();
    client.version = 5;
    const saying = (text: string): object => ({
      authenticationMethod: 'JWT',
      authenticationData: Buffer.from(text),
    });
    const short = token(secret, { ...claims, exp: inSeconds(3) });
    client.send(connect({ version: 5, clientId: unique(), properties: saying(short) }));
    await client.expect('connack', { reason: 0 });
    const long = token(secret, { ...claims, exp: inSeconds(600) });
    client.send(auth({ reason: 0x19, properties: saying(long) }));
    await client.expect('auth', { reason: 0 });
    // The first token would have ended within a second more than its life.
    const endMs = performance.now() + 5500;
    while (performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await client.ping();
    }
    const others = token(secret, { ...claims, sub: 'ben' });
    client.send(auth({ reason: 0x19, properties: saying(others) }));
    await client.find('disconnect', { reason: 0x87 });
    const bad = await suite.open();
    bad.version = 5;
    bad.send(connect({ version: 5, clientId: unique(), properties: saying('x') }));
    await bad.expect('connack', { reason: 0x87 });
  });
});

void describe('tokens with public keys', async () => {
  const first = keyPair('RS256', 'first');
  const second = keyPair('ES256', 'second');
  const third = keyPair('EdDSA', 'third');
  const inFile = keyPair('RS256', 'file');
  const alsoInFile = keyPair('ES256', 'also');
  const keyFile = join(folder, 'keys.pem');
  const pem = [inFile, alsoInFile].map(({ publicKey }) =>
    publicKey.export({ type: 'spki', format: 'pem' }),
  );
  writeFileSync(keyFile, pem.join(''));
  let published: object[] = [first.jwk];
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: published }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  after(() => server.close());
  const suite = new Suite({
    settings: {
      JWT_KEYS_URL: `http://127.0.0.1:${port}/jwks.json`,
      JWT_KEY_FILE: keyFile,
      JWT_USER_CLAIM: 'user.name',
      ALLOW_ANONYMOUS: 'false',
    },
  });
  const claims = { user: { name: 'ann' } };
  const login = (password: string): Promise<RawClient> =>
    suite.client({ version: 5, clientId: unique(), username: 'x', password });

  void test('a key set is read when it is needed, and again for a key that is new', async () => {
    // Clients come to all ds, and each asks for itself.
    for (let client = 0; client < 20; client += 1) await login(token(first, claims));
    const once = asked;
    assert.ok(once <= 2, `asked ${once} times`);
    for (let client = 0; client < 20; client += 1) await login(token(first, claims));
    assert.equal(asked, once, 'a set that is known is not asked for again');
    published = [second.jwk, third.jwk];
    const endMs = performance.now() + 60_000;
    for (let inARow = 0; inARow < 20;) {
      // It is not asked for again at once, however many tokens name unknown keys.
      const client = await suite.open();
      const fields = { version: 5, clientId: unique(), username: 'x' } as const;
      const password = token(second, claims);
      client.version = 5;
      client.send(connect({ ...fields, password }));
      const { reason } = await client.expect('connack');
      if (reason === 0) {
        inARow += 1;
        continue;
      }
      inARow = 0;
      assert.equal(reason, 0x86);
      assert.ok(performance.now() < endMs, 'the new key was never read');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await login(token(third, claims));
    await refused(suite, 5, token(first, claims));
  });

  void test('keys from a file, and no public key taken for a secret', async () => {
    await login(token({ ...inFile, kid: undefined! }, claims));
    await login(token({ ...alsoInFile, kid: undefined! }, claims));
    await refused(suite, 4, token(keyPair('RS256', 'file'), claims));
    const text = String(inFile.publicKey.export({ type: 'spki', format: 'pem' }));
    await refused(suite, 4, token(secretKey(text), claims));
  });
});

async function acknowledged(client: RawClient, topic: string): Promise<number> {
  const packetId = client.nextPacketId();
  client.sendPublish({ topic, qos: 1, packetId });
  const { reason } = await client.find('puback', { packetId });
  return reason;
}
