// Rules and users that changed while a ds was away: the sessions that its cs kept are judged by the
// new ones.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startCluster } from '../harness/cluster.ts';
import { closeAllClients, connected, unique } from '../harness/wire.ts';

const main = join(import.meta.dirname, '../../../services/standalone/dist/src/main.js');
const folder = mkdtempSync(join(tmpdir(), 'lmqtt-nodes-rights-'));
after(() => {
  closeAllClients();
  rmSync(folder, { recursive: true, force: true });
});
const aclFile = join(folder, 'rules');
const passwordFile = join(folder, 'passwords');
const patienceMs = 60_000;

function passwd(command: 'add' | 'delete', user: string): void {
  const args = [main, 'passwd', '--file', passwordFile, '--stdin', command, user];
  assert.equal(spawnSync(process.execPath, args, { input: 'secret\n' }).status, 0);
}

void test('sessions that are presented to a ds go by the rules and the users that it knows', async (t) => {
  for (const user of ['ann', 'bob', 'watcher']) passwd('add', user);
  writeFileSync(aclFile, 'allow all all #\n');
  const cluster = await startCluster({
    settings: { ACL_FILE: aclFile, PASSWORD_FILE: passwordFile },
  });
  t.after(() => cluster.stop());
  const as = (node: number, username: string, clean = true): ReturnType<typeof connected> =>
    connected(cluster.cs[node]!.port('mqtt'), {
      version: 5,
      clientId: unique(username),
      username,
      password: 'secret',
      clean,
      properties: { sessionExpiryInterval: clean ? 0 : 300 },
    });
  const stem = unique();
  const [some, none] = [await as(0, 'ann'), await as(1, 'ann', false)];
  const [gone, watcher] = [await as(0, 'bob', false), await as(1, 'watcher')];
  await some.subscribe(`${stem}/+`, 1);
  await none.subscribe(`${stem}/closed`, 1);
  await gone.subscribe(`${stem}/+`, 1);
  await cluster.ds.kill();
  passwd('delete', 'bob');
  writeFileSync(aclFile, `deny user=ann subscribe ${stem}/closed\nallow all all #\n`);
  await cluster.ds.start();
  await none.find('disconnect', { reason: 0x87 }, patienceMs);
  await gone.find('disconnect', { reason: 0x87 }, patienceMs);
  for (const last of ['closed', 'open']) await watcher.publish(`${stem}/${last}`, last, { qos: 1 });
  await some.receive({ topic: `${stem}/open` }, patienceMs);
  await some.expectNothing();
});
