// Whether a user exists shows neither in the answer nor in the work that the answer costs. Work is
// counted, not timed.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { AuthChain } from '../src/auth/chain.ts';
import type { AuthDecision, Authenticator } from '../src/auth/auth-provider.ts';
import { HmacSha1 } from '../src/auth/hmac-sha1.ts';
import {
  isPasswordOf,
  makeEntry,
  makeUnknownUsersLine,
  type PasswordHash,
} from '../src/auth/password-entry.ts';
import { PasswordFile } from '../src/auth/password-file.ts';

const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

interface Opened {
  readonly file: PasswordFile;
  /** The cost of each hash that was computed. */
  readonly work: string[];
}

async function openFile(t: TestContext, lines: string[], rememberedMs?: number): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'lmqtt-unknown-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'users');
  await writeFile(path, lines.join('\n'));
  const work: string[] = [];
  const file = await PasswordFile.open(path, {
    usersMax: 100,
    report: () => {},
    ...(rememberedMs === undefined ? {} : { rememberedMs }),
    isPasswordOf: (hash: PasswordHash, password) => {
      work.push(`${hash.logN},${hash.r},${hash.p},${hash.salt.length},${hash.hash.length}`);
      return isPasswordOf(hash, password);
    },
  });
  t.after(() => file.close());
  return { file, work };
}

function login(
  auth: Authenticator,
  userName: string,
  password: string | undefined,
  address = '192.0.2.1',
): Promise<AuthDecision> {
  return auth.authenticate({
    clientId: clientId('c'),
    userName,
    password: password === undefined ? undefined : Buffer.from(password),
    peer: { address },
    protocolVersion: 5,
  });
}

describe('users that do not exist', () => {
  it('each cost one check of their own, like those that do', async (t) => {
    const names = ['ann', 'ben', 'cat', 'dan'];
    const lines = await Promise.all(names.map((name) => makeEntry(name, 'right')));
    const { file, work } = await openFile(t, lines);
    const chain = new AuthChain([file]);
    for (const all of [names, names.map((name) => `no ${name}`), ['ann', 'no ann', 'nobody']]) {
      work.length = 0;
      // At once, and with the same password: checks are shared by one name only.
      const twice = [...all, ...all];
      const answers = await Promise.all(twice.map((name) => login(chain, name, 'wrong')));
      for (const answer of answers) assert.deepEqual(answer, wrong);
      assert.equal(work.length, all.length, all.join());
      assert.equal(new Set(work).size, 1);
      // Wrong ones are not remembered.
      await login(chain, all[0]!, 'wrong');
      assert.equal(work.length, all.length + 1);
    }
    work.length = 0;
    for (const name of ['ann', 'nobody']) {
      assert.deepEqual(await login(chain, name, undefined), wrong);
    }
    assert.equal(work.length, 0, 'without a password neither costs anything');
  });

  it('cost what others cost where entries differ, the same for a name each time', async (t) => {
    const cheap = (await makeEntry('x', 'right')).slice(2).replace('i=4096', 'i=5000');
    const dear = (await makeEntry('x', 'right')).slice(2).replace('ln=14', 'ln=5');
    const { file, work } = await openFile(t, [
      makeUnknownUsersLine(),
      ...['a', 'b', 'c'].map((name) => `${name}:${cheap}`),
      ...['d', 'e', 'f'].map((name) => `${name}:${dear}`),
      `g:${dear.replace(/:\$scram.*/, '')}`,
    ]);
    const told = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const { salt, iterations } = file.scramOfNobody(`nobody ${count}`, 'sha256');
      assert.deepEqual(file.scramOfNobody(`nobody ${count}`, 'sha256'), { salt, iterations });
      told.add(`${salt.length} ${iterations}`);
      await login(file, `nobody ${count}`, 'x');
      await login(file, `nobody ${count}`, 'y');
      assert.equal(work.at(-1), work.at(-2));
    }
    assert.deepEqual([...told].toSorted(), ['16 4096', '16 5000']);
    assert.deepEqual([...new Set(work)].toSorted(), ['14,8,1,16,32', '5,8,1,16,32']);
  });

  it('and the one name of HMAC, are not told apart by a chain', async (t) => {
    const { file, work } = await openFile(t, [await makeEntry('ann', 'right')]);
    const chain = new AuthChain([
      new HmacSha1(() => ({ hmacUsername: 'device', hmacSecretKey: 'secret' })),
      file,
    ]);
    for (const name of ['ann', 'device', 'nobody']) {
      work.length = 0;
      assert.deepEqual(await login(chain, name, 'wrong'), wrong);
      assert.deepEqual(work, ['14,8,1,16,32'], name);
    }
  });

  it('do not share what is remembered with those that do', async (t) => {
    const entry = (await makeEntry('x', 'right')).slice(2);
    // Two users with one hash, as a file that was copied together may have them.
    const { file, work } = await openFile(t, [`ann:${entry}`, `ben:${entry}`]);
    assert.equal((await login(file, 'ann', 'right')).kind, 'allow');
    assert.equal((await login(file, 'ben', 'right')).kind, 'allow');
    assert.equal(work.length, 2);
    assert.equal((await login(file, 'ann', 'right', '192.0.2.2')).kind, 'allow');
    assert.equal(work.length, 2);
  });
});

describe('500 distinct users who come at once', () => {
  for (const from of ['one address', 'an address each'])
    it(`all get in, from ${from}`, async (t) => {
      const entry = (await makeEntry('x', 'right')).slice(2).replace('ln=14', 'ln=4');
      const names = Array.from({ length: 500 }, (_, index) => `user ${index}`);
      const folder = await mkdtemp(join(tmpdir(), 'lmqtt-many-'));
      t.after(() => rm(folder, { recursive: true }));
      await writeFile(join(folder, 'users'), names.map((name) => `${name}:${entry}`).join('\n'));
      const file = await PasswordFile.open(join(folder, 'users'), {
        usersMax: 1000,
        report: () => {},
        isPasswordOf: async (_hash, password) => String(password) === 'right',
      });
      t.after(() => file.close());
      const answers = await Promise.all(
        names.map((name, index) => {
          const address =
            from === 'one address' ? '192.0.2.1' : `10.1.${index >> 8}.${index & 255}`;
          return login(file, name, 'right', address);
        }),
      );
      assert.ok(answers.every(({ kind }) => kind === 'allow'));
    });
});
