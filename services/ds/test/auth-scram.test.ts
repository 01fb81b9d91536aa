import assert from 'node:assert/strict';
import { createHmac, createHash, pbkdf2Sync } from 'node:crypto';
import { describe, it } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import fc from 'fast-check';
import type { EnhancedAuthExchange, EnhancedAuthStep } from '../src/auth/enhanced-auth.ts';
import { deriveScramKeys, type ScramHash, type ScramKeys } from '../src/auth/scram-keys.ts';
import { Scram, type ScramUsers } from '../src/auth/scram.ts';

const failure: EnhancedAuthStep = { kind: 'failure', reasonCode: ReasonCode.notAuthorized };
const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');

type Keys = Partial<Record<ScramHash, ScramKeys>>;

function usersOf(keys: Record<string, Keys>): ScramUsers {
  return {
    scramKeys: (user, hash) => (Object.hasOwn(keys, user) ? keys[user]?.[hash] : undefined),
    principal: (user) => ({ user, account: 'a' }),
    scramOfNobody: (user) => ({
      salt: createHash('sha256').update(user).digest().subarray(0, 16),
      iterations: 4096,
    }),
  };
}

const short = await deriveScramKeys('pencil', 'sha256', salt, 4096);
const pencil = { sha256: short, sha512: await deriveScramKeys('pencil', 'sha512', salt, 4096) };
const users = usersOf({
  ...{ user: pencil, 'a,b=c': pencil, Zoë: pencil },
  old: { sha256: short },
});

function begin(method: Scram): EnhancedAuthExchange {
  return method.start({ clientId: clientId('c'), peer: { address: '127.0.0.1' } });
}

async function step(exchange: EnhancedAuthExchange, text: string): Promise<EnhancedAuthStep> {
  return exchange.step(Buffer.from(text));
}

async function challengeOf(exchange: EnhancedAuthExchange, text: string): Promise<string> {
  const answer = await step(exchange, text);
  assert.equal(answer.kind, 'continue');
  return answer.kind === 'continue' ? String(answer.authenticationData) : '';
}

/** The client's last message for a challenge. */
function finalFor(
  challenge: string,
  bare: string,
  header: string,
  password: string,
  hash: ScramHash = 'sha256',
): string {
  const [, nonce, encoded, iterations] = /^r=(.*),s=(.*),i=(\d+)$/.exec(challenge)!;
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const bytes = hash === 'sha256' ? 32 : 64;
  const secret = Buffer.from(encoded!, 'base64');
  const salted = pbkdf2Sync(password, secret, Number(iterations), bytes, hash);
  const key = hmac(salted, 'Client Key');
  const stored = createHash(hash).update(key).digest();
  const without = `c=${Buffer.from(header).toString('base64')},r=${nonce}`;
  const signature = hmac(stored, `${bare},${challenge},${without}`);
  const proof = Buffer.from(key.map((byte, index) => byte ^ signature[index]!));
  return `${without},p=${proof.toString('base64')}`;
}

async function attempt(
  name: string,
  password: string,
  header: string,
  hash: ScramHash = 'sha256',
): Promise<EnhancedAuthStep> {
  const exchange = begin(new Scram(hash, users));
  const bare = `n=${name},r=clientnonce`;
  const challenge = await challengeOf(exchange, header + bare);
  return step(exchange, finalFor(challenge, bare, header, password, hash));
}

describe('SCRAM-SHA-256', () => {
  it('follows the example of RFC 7677, section 3', async () => {
    const method = new Scram('sha256', users, () => '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0');
    const exchange = begin(method);
    assert.equal(
      await challengeOf(exchange, 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO'),
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    const answer = await step(
      exchange,
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,' +
        'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    );
    assert.deepEqual(answer, {
      kind: 'success',
      principal: { user: 'user', account: 'a' },
      authenticationData: Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='),
    });
    assert.deepEqual(await step(exchange, 'n,,n=user,r=again'), failure, 'it is over');
  });

  it('takes n and y, escaped names and an authorisation as oneself', async () => {
    for (const header of ['n,,', 'y,,', 'n,a=user,'])
      assert.equal((await attempt('user', 'pencil', header)).kind, 'success', header);
    const escaped = await attempt('a=2Cb=3Dc', 'pencil', 'n,,');
    assert.ok(escaped.kind === 'success' && escaped.principal.user === 'a,b=c');
    assert.equal((await attempt('Zoë', 'pencil', 'n,,')).kind, 'success');
  });

  it('refuses what it does not offer, and what is malformed', async () => {
    const bad = [
      '',
      'p=tls-exporter,,n=user,r=x',
      'n,a=admin,n=user,r=x',
      'n,,m=ext,n=user,r=x',
      'n,,n=user',
      'n,,n=user,r=',
      'n,,n=,r=x',
      'n,,n=us=er,r=x',
      'n,,n=user,r=a b',
      'n,n=user,r=x',
      `n,,n=user,r=${'x'.repeat(5000)}`,
    ];
    for (const text of bad)
      assert.deepEqual(await step(begin(new Scram('sha256', users)), text), failure, text);
    assert.deepEqual(await begin(new Scram('sha256', users)).step(undefined), failure);
    const notUtf8 = Buffer.from('6e2c2c6e3dff2c723d78', 'hex');
    assert.deepEqual(await begin(new Scram('sha256', users)).step(notUtf8), failure);
  });

  it('refuses a wrong password, nonce, header or proof', async () => {
    assert.deepEqual(await attempt('user', 'pencil ', 'n,,'), failure);
    const changes: ((final: string) => string)[] = [
      (final) => final.replace(/,r=./, ',r=#'),
      (final) => final.replace(/,p=/, 'x,p='),
      (final) => final.replace('c=biws', 'c=eSws'),
      (final) => final.replace(/p=./, (start) => (start === 'p=A' ? 'p=B' : 'p=A')),
      (final) => final.replace(/,p=.*/, ''),
      (final) => `${final},x=y`,
    ];
    for (const change of changes) {
      const exchange = begin(new Scram('sha256', users));
      const challenge = await challengeOf(exchange, 'n,,n=user,r=x');
      const final = change(finalFor(challenge, 'n=user,r=x', 'n,,', 'pencil'));
      assert.deepEqual(await step(exchange, final), failure, final);
      assert.deepEqual(await step(exchange, final), failure, 'over');
    }
  });

  it('does not tell users that do not exist from others', async () => {
    const salts = new Set<string>();
    for (const name of ['nobody', 'nobody', 'noone', '__proto__']) {
      const exchange = begin(new Scram('sha256', users));
      const challenge = await challengeOf(exchange, `n,,n=${name},r=x`);
      const [, encoded] = /,s=([^,]*),i=4096$/.exec(challenge)!;
      assert.equal(Buffer.from(encoded!, 'base64').length, salt.length);
      salts.add(`${name} ${encoded}`);
      assert.deepEqual(
        await step(exchange, finalFor(challenge, `n=${name},r=x`, 'n,,', 'pencil')),
        failure,
      );
    }
    assert.equal(salts.size, 3, 'the same for the same name');
  });

  it('never challenges with the same nonce', async () => {
    const method = new Scram('sha256', users);
    const one = await challengeOf(begin(method), 'n,,n=user,r=x');
    const other = await challengeOf(begin(method), 'n,,n=user,r=x');
    assert.notEqual(one, other);
  });

  it('never rejects and never succeeds, whatever it is given', async () => {
    const parts = fc.constantFrom('n', 'y', ',', 'n=user', 'r=x', 'c=biws', 'p=', '=', 'a=', '\0');
    const texts = fc.oneof(
      fc.string(),
      fc.array(parts).map((all) => all.join('')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(texts, { maxLength: 3 }), async (messages) => {
        const exchange = begin(new Scram('sha256', users));
        for (const message of messages)
          assert.notEqual((await step(exchange, message)).kind, 'success');
      }),
      { numRuns: 500 },
    );
  });

  it('prepares passwords as SASLprep says', async () => {
    const keyOf = async (password: string): Promise<string> =>
      (await deriveScramKeys(password, 'sha256', salt)).storedKey.toString('hex');
    assert.equal(await keyOf('I\u00adX'), await keyOf('IX'));
    assert.equal(await keyOf('\u00aa'), await keyOf('a'));
    assert.equal(await keyOf('a\u00a0b'), await keyOf('a b'));
    assert.notEqual(await keyOf('user'), await keyOf('USER'));
  });
});

describe('SCRAM-SHA-512', () => {
  it('proves both sides to each other', async () => {
    const method = new Scram('sha512', users);
    assert.equal(method.method, 'SCRAM-SHA-512');
    const exchange = begin(method);
    const challenge = await challengeOf(exchange, 'n,,n=user,r=x');
    const answer = await step(
      exchange,
      finalFor(challenge, 'n=user,r=x', 'n,,', 'pencil', 'sha512'),
    );
    assert.ok(answer.kind === 'success' && answer.principal.user === 'user');
    assert.match(String(answer.authenticationData), /^v=[A-Za-z0-9+/]{86}==$/);
    assert.deepEqual(await attempt('user', 'Pencil', 'n,,', 'sha512'), failure);
  });

  it('takes no proof of the other hash', async () => {
    for (const [asked, given] of [
      ['sha512', 'sha256'],
      ['sha256', 'sha512'],
    ] as const) {
      const exchange = begin(new Scram(asked, users));
      const challenge = await challengeOf(exchange, 'n,,n=user,r=x');
      const final = finalFor(challenge, 'n=user,r=x', 'n,,', 'pencil', given);
      assert.deepEqual(await step(exchange, final), failure, asked);
    }
  });

  it('refuses a user without keys for it as one that does not exist', async () => {
    assert.equal((await attempt('old', 'pencil', 'n,,', 'sha256')).kind, 'success');
    assert.deepEqual(await attempt('old', 'pencil', 'n,,', 'sha512'), failure);
    assert.deepEqual(await attempt('nobody', 'pencil', 'n,,', 'sha512'), failure);
  });
});
