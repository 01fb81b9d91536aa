// Files that are changed while the broker cannot open any: the change is not lost.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { embeddedOnly } from '../harness/shape.ts';
import { Suite } from '../harness/suite.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const patienceMs = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-reload-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const aclFile = join(folder, 'rules');
const passwordFile = join(folder, 'passwords');
writeFileSync(aclFile, 'allow all all #\n');
for (const user of ['ann', 'bob']) passwd('add', user);
const suite = new Suite({ settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile } });

function passwd(command: 'add' | 'delete', user: string): void {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', command, user];
  assert.equal(spawnSync(process.execPath, args, { input: 'secret\n' }).status, 0);
}

/** The soft limit of open files of the process with the rules; undefined: as it was. */
function limitFiles(pid: number, softMax: string): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${softMax}:`]);
  assert.equal(status, 0, stderr.toString());
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await isSo())) {
    assert.ok(performance.now() < end, what);
    await delay(20);
  }
}

const notRead = (): number =>
  suite.broker
    .logs()
    .split('\n')
    .filter((line) => line.includes('file not read')).length;

void test(
  'rules and users that change at the limit of open files count as soon as they can be read',
  embeddedOnly('the limit is set for one process'),
  async () => {
    const ann = await suite.client({ version: 5, username: 'ann', password: 'secret' });
    const bob = await suite.client({ version: 5, username: 'bob', password: 'secret' });
    await ann.subscribe('a', 1);
    const { pid } = suite.broker;
    const before = /Max open files\s+(\d+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))![1]!;
    limitFiles(pid, '10');
    try {
      writeFileSync(join(folder, 'new'), 'deny all subscribe a\nallow all all #\n');
      renameSync(join(folder, 'new'), aclFile);
      passwd('delete', 'bob');
      await until('both files are told', () => notRead() >= 2);
      // Longer than the files are checked by themselves.
      await delay(6000);
      assert.equal(notRead(), 2, 'one line for each');
      await ann.ping();
      await bob.ping();
    } finally {
      limitFiles(pid, before);
    }
    const { reason } = await ann.find('disconnect', {}, patienceMs);
    assert.equal(reason, 0x87);
    const last = await bob.find('disconnect', {}, patienceMs);
    assert.equal(last.reason, 0x87);
  },
);

void test('a file that cannot be used is told, keeps what was before, and shows in the metrics', async () => {
  const metric = async (): Promise<number> =>
    (await suite.broker.metrics()).get('lmqtt_files_not_in_force') ?? -1;
  await until('all files are in force', async () => (await metric()) === 0);
  const told = notRead();
  writeFileSync(join(folder, 'new'), 'allow everybody everything\n');
  renameSync(join(folder, 'new'), aclFile);
  await until('it is told', () => notRead() > told);
  await until('it is counted', async () => (await metric()) >= 1);
  const ann = await suite.client({ version: 5, username: 'ann', password: 'secret' });
  await ann.subscribe('b', 1);
  writeFileSync(join(folder, 'new'), 'deny all subscribe b\nallow all all #\n');
  renameSync(join(folder, 'new'), aclFile);
  await ann.find('disconnect', { reason: 0x87 }, patienceMs);
  await until('it is in force', async () => (await metric()) === 0);
});
