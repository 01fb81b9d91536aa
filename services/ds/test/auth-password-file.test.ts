import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision } from '../src/auth/auth-provider.ts';
import { runPasswd } from '../src/auth/passwd.ts';
import {
  accountOf,
  makeEntry,
  makeUnknownUsersLine,
  withAccountOf,
} from '../src/auth/password-entry.ts';
import { PasswordFile, type PasswordFileOptions } from '../src/auth/password-file.ts';
import type { FileOutcome } from '../src/auth/reloaded-file.ts';

const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lmqtt-passwd-'));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

interface Opened {
  readonly file: PasswordFile;
  readonly outcomes: FileOutcome[];
  readonly login: (user?: string, password?: string) => Promise<AuthDecision>;
}

async function openFile(
  t: TestContext,
  path: string,
  options: Partial<PasswordFileOptions> = {},
): Promise<Opened> {
  const outcomes: FileOutcome[] = [];
  const file = await PasswordFile.open(path, {
    usersMax: 100,
    settleMs: 5,
    report: (outcome) => outcomes.push(outcome),
    ...options,
  });
  t.after(() => file.close());
  const login = (userName?: string, password?: string): Promise<AuthDecision> =>
    file.authenticate({
      clientId: clientId('c'),
      userName,
      password: password === undefined ? undefined : Buffer.from(password),
      peer: { address: '127.0.0.1' },
      protocolVersion: 5,
    });
  return { file, outcomes, login };
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'not within a minute');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
}

describe('PasswordFile', () => {
  it('lets in who knows the password, and passes on whom it does not know', async (t) => {
    const path = join(await folderFor(t), 'users');
    const entries = await Promise.all([makeEntry('ann', 'Grün$:'), makeEntry('a:b', 'x')]);
    await writeFile(path, `# ours\n\n${entries.join('\r\n')}\n`);
    const { file, login } = await openFile(t, path);
    for (const [index, [user, password]] of [
      ['ann', 'Grün$:'],
      ['a:b', 'x'],
    ].entries())
      assert.deepEqual(await login(user, password), {
        kind: 'allow',
        principal: { user, account: accountOf(entries[index]!) },
      });
    for (const password of ['', 'grün$:', 'Grün$: '])
      assert.deepEqual(await login('ann', password), wrong);
    assert.deepEqual(await login('ann'), wrong);
    for (const name of ['bob', '', '# ours', '__proto__', 'Ann'])
      assert.deepEqual(await login(name, 'x'), { kind: 'pass' }, name);
    assert.deepEqual(await login(), { kind: 'pass' });
    assert.equal(file.scramKeys('ann', 'sha256')?.iterations, 4096);
    assert.equal(file.scramKeys('ann', 'sha512')?.iterations, 10_000);
    assert.equal(file.scramKeys('bob', 'sha256'), undefined);
  });

  it('reads users who have keys for one method or none, as files of before have them', async (t) => {
    const path = join(await folderFor(t), 'users');
    const whole = await makeEntry('ann', 'one');
    const one = whole.replace(/:\$scram-sha-512[^:]*/, '').replace('ann', 'ben');
    const none = whole.replace(/:\$scram-.*/, '').replace('ann', 'cat');
    await writeFile(path, [makeUnknownUsersLine(), whole, one, none].join('\n'));
    const { file, login } = await openFile(t, path);
    for (const name of ['ann', 'ben', 'cat']) {
      assert.equal((await login(name, 'one')).kind, 'allow', name);
      assert.equal(file.scramKeys(name, 'sha256') !== undefined, name !== 'cat', name);
      assert.equal(file.scramKeys(name, 'sha512') !== undefined, name === 'ann', name);
    }
    const [short, long] = (['sha256', 'sha512'] as const).map((hash) =>
      file.scramOfNobody('nobody', hash),
    );
    assert.notDeepEqual(short?.salt, long?.salt);
    assert.deepEqual([short?.iterations, long?.iterations], [4096, 10_000]);
  });

  it('remembers what was right, for as long as the entry stays', async (t) => {
    const path = join(await folderFor(t), 'users');
    await writeFile(path, await makeEntry('ann', 'one'));
    const { login, outcomes } = await openFile(t, path);
    await login('ann', 'one');
    const start = performance.now();
    for (let count = 0; count < 1000; count += 1)
      assert.equal((await login('ann', 'one')).kind, 'allow');
    assert.ok(performance.now() - start < 10_000, 'a thousand times in less than 200 checks take');
    await replace(path, await makeEntry('ann', 'two'));
    await until(() => outcomes.length === 2);
    assert.deepEqual(await login('ann', 'one'), wrong);
    assert.equal((await login('ann', 'two')).kind, 'allow');
  });

  it('forgets after a while', async (t) => {
    const path = join(await folderFor(t), 'users');
    await writeFile(path, await makeEntry('ann', 'one'));
    const { login } = await openFile(t, path, { rememberedMs: 0 });
    assert.equal((await login('ann', 'one')).kind, 'allow');
    const start = performance.now();
    assert.equal((await login('ann', 'one')).kind, 'allow');
    assert.ok(performance.now() - start > 5, 'checked again');
  });

  it('bounds the checks that wait, and makes equal ones one', async (t) => {
    const path = join(await folderFor(t), 'users');
    await writeFile(path, await makeEntry('ann', 'one'));
    const { login } = await openFile(t, path, { checksMax: 1, waitingMax: 2 });
    const same = await Promise.all(Array.from({ length: 50 }, () => login('ann', 'one')));
    assert.ok(same.every((decision) => decision.kind === 'allow'));
    const different = await Promise.all(
      Array.from({ length: 5 }, (_, index) => login('ann', `no ${index}`)),
    );
    const busy = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
    assert.deepEqual(different, [wrong, wrong, wrong, busy, busy]);
    assert.deepEqual(await login('ann', 'no 6'), wrong, 'the turns are free again');
  });

  it('keeps the users it has where the file is broken, and says so', async (t) => {
    const path = join(await folderFor(t), 'users');
    const ann = await makeEntry('ann', 'one');
    await writeFile(path, ann);
    const { login, outcomes } = await openFile(t, path, { usersMax: 2 });
    const others = [
      `${ann}\nbob:plain-text`,
      `${ann}\n${ann}`,
      ann.replace('ln=14', 'ln=30'),
      ann.replace('i=4096', 'i=1'),
      ann.replace('i=10000', 'i=1'),
      ann.slice(0, -1),
      [ann, ann.replace('ann', 'b'), ann.replace('ann', 'c')].join('\n'),
    ];
    for (const [index, text] of others.entries()) {
      await replace(path, text);
      await until(() => outcomes.length === index + 2);
      const outcome = outcomes.at(-1)!;
      assert.ok(outcome.kind === 'refused' && /^line \d: /.test(outcome.reason), text);
      assert.doesNotMatch(outcome.reason, /plain-text|scrypt\$ln/);
      assert.equal((await login('ann', 'one')).kind, 'allow');
    }
    await assert.rejects(
      PasswordFile.open(path, { usersMax: 2, report: () => {} }),
      /users: line 3/,
    );
  });
});

interface Ran {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

async function passwd(args: string[], input: string | readonly string[] = ''): Promise<Ran> {
  const stdin = new PassThrough();
  const typed = typeof input === 'string' ? undefined : [...input];
  let raw = false;
  const terminal = Object.assign(stdin, {
    isTTY: typed !== undefined,
    setRawMode: (on: boolean) => {
      raw = on;
      if (on) setImmediate(() => stdin.write(typed?.shift() ?? ''));
    },
  });
  if (typeof input === 'string') stdin.end(input);
  const output = new PassThrough();
  const errors = new PassThrough();
  const code = await runPasswd(args, { input: terminal, output, errors });
  assert.equal(raw, false, 'the terminal is as it was');
  return { code, output: String(output.read() ?? ''), errors: String(errors.read() ?? '') };
}

describe('passwd', () => {
  it('keeps the account when the password changes, and gives a new one to a later user of the name', async (t) => {
    const path = join(await folderFor(t), 'users');
    const base = ['--file', path];
    const account = async (): Promise<string> => {
      const line = (await readFile(path, 'utf8')).split('\n').find((one) => one.startsWith('ann:'));
      return accountOf(line ?? '');
    };
    await passwd([...base, '--stdin', 'add', 'ann'], 'one\n');
    const first = await account();
    assert.match(first, /^.{16}$/);
    await passwd([...base, '--stdin', 'add', 'ann'], 'two\n');
    assert.equal(await account(), first);
    const { file, login } = await openFile(t, path);
    assert.equal((await login('ann', 'two')).kind, 'allow');
    assert.equal(file.has('ann', first), true);
    await passwd([...base, 'delete', 'ann']);
    await until(() => !file.has('ann', first));
    await passwd([...base, '--stdin', 'add', 'ann'], 'two\n');
    const second = await account();
    assert.notEqual(second, first);
    await until(() => file.has('ann', second));
    assert.equal(file.has('ann', first), false);
    // An entry of before stays without.
    await writeFile(path, (await readFile(path, 'utf8')).replace(/:\$account\$.*$/m, ''));
    await passwd([...base, '--stdin', 'add', 'ann'], 'three\n');
    assert.equal(await account(), '');
  });

  it('keeps whatever account an entry has', async () => {
    const fresh = await makeEntry('ann', 'two');
    for (const account of ['1'.repeat(16), '0123456789ABCDEF', '++++////++++////']) {
      const line = `${fresh.slice(0, fresh.lastIndexOf(':$account$'))}:$account$${account}`;
      assert.equal(accountOf(withAccountOf(line, fresh)), account);
    }
  });

  it('adds, changes, lists and deletes', async (t) => {
    const path = join(await folderFor(t), 'users');
    const base = ['--file', path];
    assert.equal((await passwd([...base, 'add', 'ann', '--stdin'], 'one\nrest')).code, 0);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const { login, outcomes, file } = await openFile(t, path);
    assert.equal((await login('ann', 'one')).kind, 'allow');
    const told = file.scramOfNobody('nobody', 'sha256');
    const changed = await passwd([...base, 'add', 'ann', '--stdin'], 'two\r\n');
    assert.match(changed.output, /changed/);
    assert.equal((await passwd([...base, '--stdin', 'add', 'bob c'], 'x')).code, 0);
    assert.equal((await passwd([...base, 'list'])).output, 'ann\nbob c\n');
    await until(() => outcomes.some((outcome) => outcome.kind === 'read' && outcome.entries === 2));
    assert.equal((await login('ann', 'two')).kind, 'allow');
    assert.equal((await login('bob c', 'x')).kind, 'allow');
    assert.deepEqual(file.scramOfNobody('nobody', 'sha256'), told);
    assert.equal((await passwd([...base, 'delete', 'ann'])).code, 0);
    assert.equal((await passwd([...base, 'list'])).output, 'bob c\n');
    assert.equal((await passwd([...base, 'delete', 'ann'])).code, 1);
    assert.doesNotMatch(await readFile(path, 'utf8'), /one|two/);
  });

  it('--help tells how it is called', async () => {
    const { code, output, errors } = await passwd(['--help']);
    assert.equal(code, 0);
    assert.match(output, /^usage: .*passwd --file FILE COMMAND/);
    assert.equal(errors, '');
  });

  it('asks twice on a terminal, without showing', async (t) => {
    const path = join(await folderFor(t), 'users');
    const asked = await passwd(['--file', path, 'add', 'ann'], ['sexx\x7f\x7fcret\r', 'secret\n']);
    assert.equal(asked.code, 0, asked.errors);
    assert.doesNotMatch(asked.output + asked.errors, /secret/);
    const { login } = await openFile(t, path);
    assert.equal((await login('ann', 'secret')).kind, 'allow');
    const differs = await passwd(['--file', path, 'add', 'ann'], ['a\r', 'b\r']);
    assert.equal(differs.code, 1);
    const stopped = await passwd(['--file', path, 'add', 'ann'], ['a\x03']);
    assert.equal(stopped.code, 1);
    assert.equal((await passwd(['--file', path, 'add', 'ann'])).code, 1, 'no terminal');
    assert.equal((await login('ann', 'secret')).kind, 'allow');
  });

  it('keeps every change of runs at the same time', async (t) => {
    const path = join(await folderFor(t), 'users');
    const names = Array.from({ length: 6 }, (_, index) => `u${index}`);
    const runs = names.map((name) => passwd(['--file', path, '--stdin', 'add', name], 'x'));
    for (const run of await Promise.all(runs)) assert.equal(run.code, 0, run.errors);
    const { output } = await passwd(['--file', path, 'list']);
    assert.deepEqual(output.trim().split('\n').toSorted(), names);
  });

  it('keeps links and comments, and touches no broken file', async (t) => {
    const folder = await folderFor(t);
    const path = join(folder, 'users');
    await writeFile(path, '# ours\n');
    await symlink(path, join(folder, 'link'));
    assert.equal(
      (await passwd(['--file', join(folder, 'link'), '--stdin', 'add', 'a'], 'x')).code,
      0,
    );
    assert.match(await readFile(path, 'utf8'), /^# ours$/m);
    await writeFile(path, 'nonsense\n');
    const broken = await passwd(['--file', path, '--stdin', 'add', 'a'], 'x');
    assert.equal(broken.code, 1);
    assert.match(broken.errors, /users, line \d: /);
    assert.equal(await readFile(path, 'utf8'), 'nonsense\n');
    await assert.rejects(stat(join(folder, '.users.new')));
  });

  it('says what it does not understand', async () => {
    const bad = [
      [],
      ['list'],
      ['--file', 'x'],
      ['--file', 'x', 'rename', 'a'],
      ['--file', 'x', 'add'],
      ['--file', 'x', 'add', 'a', 'b'],
      ['--file', 'x', 'add', '#a'],
      ['--file', 'x', 'add', 'a\nb'],
      ['--file', 'x', 'add', ''],
      ['--file', 'x', '--what', 'list'],
    ];
    for (const args of bad) {
      const { code, errors } = await passwd(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(errors, /usage:/);
    }
    const none = await passwd(['--file', '/nonexistent/x', 'list']);
    assert.equal(none.code, 1);
  });
});
