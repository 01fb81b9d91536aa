// Wrong passwords in numbers keep out nobody but those who send them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { passwordFileOf } from '../harness/password-file.ts';
import * as packets from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { connectRaw, type RawClient, unique } from '../harness/wire.ts';

/** A check of about 10 ms. */
const logN = 12;
const many = 500;
const names = Array.from({ length: many }, (_, index) => `user ${index}`);
const users = Object.fromEntries([...names, 'ann', 'ben'].map((name) => [name, logN]));
/** A busy machine checks ten times slower. */
const servedMs = 60_000;

interface Flood {
  /** How many were sent by now. */
  readonly sent: number;
  readonly stop: () => void;
}

/** 100 CONNECTs a second with wrong passwords; whoever sends them does not wait for the answers. */
function flood(port: () => number, localAddress: string, user: (count: number) => string): Flood {
  let sent = 0;
  const timer = setInterval(() => {
    for (let each = 0; each < 2; each += 1) {
      sent += 1;
      const fields = { clientId: unique('bad'), username: user(sent), password: `no ${sent}` };
      connectRaw(port(), { localAddress }).then(
        (client) => client.send(packets.connect(fields)),
        () => {},
      );
    }
  }, 20);
  return {
    get sent() {
      return sent;
    },
    stop: () => clearInterval(timer),
  };
}

async function login(port: number, localAddress: string, username: string): Promise<number> {
  const client: RawClient = await connectRaw(port, { version: 5, localAddress });
  const fields = { version: 5, clientId: unique('c'), username, password: 'right' } as const;
  client.send(packets.connect(fields));
  const { reason } = await client.expect('connack', {}, servedMs);
  client.destroy();
  return reason;
}

void describe('wrong passwords', () => {
  const suite = new Suite({
    settings: { PASSWORD_FILE: passwordFileOf(users), ALLOW_ANONYMOUS: 'false' },
  });

  for (const [what, user] of [
    ['under the name of one who has the right one', () => 'ann'],
    ['under names that do not exist', (count: number) => `nobody ${count}`],
  ] as const)
    void test(`100 a second ${what} keep out nobody at another address`, async (t) => {
      const bad = flood(() => suite.port, '127.0.0.66', user);
      t.after(() => bad.stop());
      // The checks that wait by then would take seconds.
      while (bad.sent < 400) await new Promise((resolve) => setTimeout(resolve, 20));
      for (const name of ['ann', 'ben', 'ann']) {
        assert.equal(await login(suite.port, '127.0.0.67', name), 0);
      }
    });

  void test(`${many} users who come at once from one address all get in`, async () => {
    const answers = await Promise.all(names.map((name) => login(suite.port, '127.0.0.68', name)));
    assert.deepEqual([...new Set(answers)], [0]);
  });
});
