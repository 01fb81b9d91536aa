// A file of the Java nodes that changes while the broker runs: it is read again, as there.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Broker } from '../harness/broker.ts';
import { connect } from '../harness/packets.ts';
import { isCluster, startBroker } from '../harness/shape.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

const waitMs = 60_000;

void describe('files of the Java nodes', () => {
  let broker: Broker;
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-java-files-'));
  const file = join(folder, 'service.conf');

  /** As an editor or a mounted secret replaces it. */
  const write = (...lines: readonly string[]): void => {
    writeFileSync(`${file}.new`, `! service.conf\n${lines.join('\n')}\n`);
    renameSync(`${file}.new`, file);
  };

  before(async () => {
    write('username : devices', 'secretKey=fir\\', '   st', 'authThreadNum=32');
    broker = await startBroker({ settings: { CONFIG: file } });
  });
  after(async () => {
    closeAllClients();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const passwordOf = (clientId: string, key: string): string =>
    createHmac('sha1', key).update(clientId).digest('base64');

  const login = async (key: string, username = 'devices'): Promise<number> => {
    const clientId = unique('java');
    const client = await connectRaw(broker.mqttPort, { version: 5 });
    client.send(connect({ version: 5, clientId, username, password: passwordOf(clientId, key) }));
    const { reason } = await client.expect('connack');
    client.destroy();
    return reason;
  };

  /** At every ds: each reads the file by itself, and each client may come to another one. */
  const eventually = async (key: string, username = 'devices'): Promise<void> => {
    const end = performance.now() + waitMs;
    for (let times = 0; times < (isCluster ? 10 : 1); times += 1) {
      if ((await login(key, username)) === 0) continue;
      assert.ok(performance.now() < end, `${key} is taken`);
      times = -1;
      await delay(100);
    }
  };

  const logged = async (pattern: RegExp): Promise<void> => {
    const end = performance.now() + waitMs;
    while (!pattern.test(broker.logs())) {
      assert.ok(performance.now() < end, String(pattern));
      await delay(100);
    }
  };

  void test('secretKey rotates without a restart, and who is connected stays', async () => {
    assert.equal(await login('first'), 0);
    assert.equal(await login('second'), 0x86);
    const clientId = unique('java');
    const stays = await connected(broker.mqttPort, {
      version: 5,
      clientId,
      username: 'devices',
      password: passwordOf(clientId, 'first'),
    });
    write('username=devices', 'secretKey=second', 'authThreadNum=32');
    await eventually('second');
    assert.equal(await login('first'), 0x86);
    await stays.ping();
    assert.doesNotMatch(broker.logs(), /"(?:first|second)"/);
  });

  void test('a file that cannot be used is told, and what was read before stays', async () => {
    write('username=devices', 'secretKey=\\u00', 'nonsense=1');
    await logged(/settings not read; what was read before stays in force/);
    assert.equal(await login('second'), 0);
    write('username=others', 'secretKey=third');
    await eventually('third', 'others');
    assert.equal(await login('third'), 0x86);
  });

  void test('a setting that is not taken while the broker runs is named', async () => {
    write('username=others', 'secretKey=third', 'maxConn=4321', 'serverReceiveMaximum=77');
    await logged(/"settings":\["MAX_CONNECTIONS","RECEIVE_MAXIMUM"\].*after a restart/);
    assert.equal(await login('third', 'others'), 0);
  });
});
