import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, nodeId, queueId } from '@lmqtt/common/ids';
import { startRedisSentinel } from '../harness/redis/redis-sentinel.ts';
import { requireRedis } from '../harness/require.ts';
import { RedisKeys } from '@lmqtt/ds/redis/keys';
import { openStore } from './redis-session-bench.ts';
import { handle, pause, subscription } from './session-store.ts';

test('what was told as durable is there after a failover', requireRedis(), async (t) => {
  const redis = await startRedisSentinel({ sentinels: 3 });
  t.after(() => redis.close());
  const open = await openStore(redis.url, 'c', 'ds');
  t.after(() => open.close());
  const { store } = open;
  const claimed = await store.claim({
    clientId: clientId('a'),
    node: nodeId('cs'),
    handle,
    user: null,
    userChange: 'replace',
    cleanStart: false,
    sessionExpiryS: 3600,
    will: undefined,
  });
  assert.ok(claimed.kind === 'claimed');
  const { session, epoch } = claimed;
  await store.subscribe(session, epoch, [subscription('t')]);
  store.onFenced(() => assert.fail('nobody else has it'));
  let told = 0;
  let position = 0;
  const timer = setInterval(() => {
    position += 1;
    const now = position;
    const place = { queue: queueId(5), partition: 0 } as const;
    store.write(session, epoch, { kind: 'position', session: handle, ...place, position });
    store.commit(() => (told = now));
  }, 2);
  t.after(() => clearInterval(timer));
  await pause(200);
  assert.ok(told > 0);
  await redis.master.kill9();
  const before = told;
  await redis.untilMaster(redis.replica);
  const stored = (
    await redis.replica.command('hget', new RedisKeys('c').session('a', 'session:a'), 'ct')
  ).split(' ');
  t.diagnostic(`told ${before}, stored ${stored.join(' ')}`);
  assert.ok(Number.parseInt(stored[2] ?? '', 36) >= before);
  clearInterval(timer);
  await redis.master.start();
  await redis.untilMaster(redis.replica);
  await new Promise<void>((resolve) => {
    store.commit(resolve);
  });
  assert.equal(told, position);
  assert.equal((await store.look(clientId('a')))?.subscription('t')?.cursors[0]?.position, told);
});
