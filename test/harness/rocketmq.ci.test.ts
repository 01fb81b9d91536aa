import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { requireRocketmq } from './require.ts';
import { remotingRequest } from './rocketmq/remoting-request.ts';
import { startRocketmq } from './rocketmq/rocketmq-cluster.ts';

const needed = requireRocketmq();

/** Request codes. */
const sendMessage = 310;
const maxOffset = 30;
const brokerConfig = 26;

/** To the first queue of a topic that the broker makes. */
const message = { a: 'test', b: 'place', c: 'TBW102', d: '8', e: '0', f: '0', h: '0', j: '0' };

test(
  'a broker keeps port and store through kill -9, its name server returns',
  needed,
  async (t) => {
    const cluster = await startRocketmq({ brokers: [{ openFilesMax: 5000 }] });
    t.after(() => cluster.close());
    const broker = cluster.broker();
    const conf = await remotingRequest(broker.port, brokerConfig);
    assert.match(conf.body, /^enableLmq=true$/m);
    assert.match(conf.body, /^enableMultiDispatch=true$/m);

    const send = async (): Promise<void> => {
      const fields = { ...message, g: String(Date.now()), i: '', k: 'false', m: 'false' };
      const answer = await remotingRequest(broker.port, sendMessage, fields, 'x');
      assert.equal(answer.code, 0, answer.remark);
    };
    const stored = async (): Promise<string | undefined> =>
      (await remotingRequest(broker.port, maxOffset, { topic: 'place', queueId: '0' })).fields[
        'offset'
      ];
    await send();
    await broker.kill9();
    await broker.start();
    assert.equal(await stored(), '1');

    await cluster.namesrv.kill9();
    await cluster.namesrv.start();
    await cluster.untilRegistered();
    await cluster.close();
    assert.equal(existsSync(broker.folder), false);
  },
);
