// An HTTP service that says who clients are, played by a server of the test.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { connect } from '../harness/packets.ts';
import { Suite } from '../harness/suite.ts';
import { inSeconds } from '../harness/token.ts';
import { type RawClient, unique } from '../harness/wire.ts';

interface Question {
  readonly body: Record<string, unknown>;
  readonly authorization: string | undefined;
}

/** Answer of the service to a question: a status, and a body or none. */
type Answer = (question: Question) => readonly [status: number, body?: unknown] | 'nothing';

class Service {
  readonly questions: Question[] = [];
  answer: Answer = () => [200, { result: 'deny' }];
  readonly #server = createServer((request, response) => void this.#take(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/auth`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    const question = { body, authorization: request.headers.authorization };
    this.questions.push(question);
    const answer = this.answer(question);
    if (answer === 'nothing') return;
    const [status, content] = answer;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof content === 'string' ? content : JSON.stringify(content));
  }
}

const versions = [3, 4, 5] as const;
type Fields = Parameters<RawClient['connect']>[0];

async function code(suite: Suite, fields: Fields & object): Promise<number> {
  const client = await suite.open();
  client.version = fields.version ?? 4;
  client.send(connect(fields));
  const { reason } = await client.expect('connack');
  if (reason !== 0) await client.expectClose();
  return reason;
}

async function acknowledged(client: RawClient, topic: string): Promise<number> {
  const packetId = client.nextPacketId();
  client.sendPublish({ topic, qos: 1, packetId });
  return (await client.find('puback', { packetId })).reason;
}

void describe('an HTTP service', async () => {
  const service = new Service();
  const url = await service.listen();
  after(() => service.close());
  const suite = new Suite({
    settings: {
      AUTH_HTTP_URL: url,
      AUTH_HTTP_TOKEN: 'of the broker',
      AUTH_FAILURES_PER_ADDRESS: '0',
      ALLOW_ANONYMOUS: 'false',
    },
  });
  const fields = (version: 3 | 4 | 5 = 5) =>
    ({ version, clientId: unique(), username: unique('u'), password: 'known to nobody' }) as const;

  void test('it is asked once, with all that the client gave, and its answer counts', async () => {
    for (const version of versions) {
      const one = fields(version);
      service.questions.length = 0;
      service.answer = () => [200, { result: 'allow' }];
      assert.equal(await code(suite, one), 0);
      assert.deepEqual(service.questions, [
        {
          body: {
            clientid: one.clientId,
            username: one.username,
            password: 'known to nobody',
            peerhost: '127.0.0.1',
            proto_ver: version,
          },
          authorization: 'Bearer of the broker',
        },
      ]);
      // The same question within the time that answers are kept is not asked again.
      assert.equal(await code(suite, one), 0);
      assert.equal(service.questions.length, 1);
      service.answer = () => [200, { result: 'deny' }];
      assert.equal(await code(suite, fields(version)), version === 5 ? 0x86 : 4);
      for (const status of [401, 403]) {
        service.answer = () => [status, 'no'];
        assert.equal(await code(suite, fields(version)), version === 5 ? 0x86 : 4);
      }
      service.answer = () => [200, { result: 'ignore' }];
      assert.equal(await code(suite, fields(version)), version === 5 ? 0x86 : 4);
      service.answer = () => [200, ''];
      assert.equal(await code(suite, fields(version)), 0);
    }
    assert.ok(!suite.broker.logs().includes('known to nobody'), 'no password goes to the log');
  });

  void test('its rules, its superusers and its ends are those of the client', async () => {
    service.answer = () => [200, { result: 'allow', acl: { pub: ['to/%u'], sub: [] } }];
    const one = fields();
    const client = await suite.client(one);
    assert.equal(await acknowledged(client, `to/${one.username}`), 0x10);
    assert.equal(await acknowledged(client, 'to/other'), 0x87);
    await client.subscribe('any/#', 1, { reasons: [0x87] });
    service.answer = () => [200, { result: 'allow', is_superuser: true, acl: { pub: [] } }];
    const superuser = await suite.client(fields());
    assert.equal(await acknowledged(superuser, 'to/other'), 0x10);
    await superuser.subscribe('$SYS/#', 0);
    service.answer = () => [200, { result: 'allow', expire_at: inSeconds(2) }];
    const short = await suite.client(fields());
    await short.find('disconnect', { reason: 0xa0 });
  });

  void test('an answer that says nothing, or comes late, is none: 0x88, and it is logged once', async () => {
    const answers: Answer[] = [
      () => [500, { result: 'allow' }],
      () => [200, 'allow'],
      () => [200, { result: 'maybe' }],
      () => [200, { result: 'allow', acl: 'all' }],
      () => [200, 'x'.repeat(100_000)],
      () => 'nothing',
    ];
    for (const answer of answers) {
      for (const version of [4, 5] as const) {
        service.answer = answer;
        assert.equal(await code(suite, fields(version)), version === 5 ? 0x88 : 3);
      }
    }
    // It is left alone for some seconds by now: nobody waits for it.
    service.answer = () => [500];
    let asked = -1;
    for (let tries = 0; asked !== service.questions.length; tries += 1) {
      assert.ok(tries < 40, 'it is asked each time');
      asked = service.questions.length;
      assert.equal(await code(suite, fields()), 0x88);
    }
    service.answer = () => [204];
    const endMs = performance.now() + 60_000;
    // Each ds finds out for itself; clients come to all of them.
    for (let inARow = 0; inARow < 20;) {
      assert.ok(performance.now() < endMs, 'it was never asked again');
      if ((await code(suite, fields())) === 0) {
        inARow += 1;
        continue;
      }
      inARow = 0;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    for (const line of [/AUTH_HTTP_URL does not answer/, /AUTH_HTTP_URL answers again/]) {
      while (!line.test(suite.broker.logs())) {
        assert.ok(performance.now() < endMs, `the log has no ${String(line)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  });

  void test('300 clients who come at once all get in, some questions at a time', async () => {
    let open = 0;
    let most = 0;
    service.answer = () => [200, { result: 'allow' }];
    const slow = service.answer;
    service.answer = (question) => {
      open += 1;
      most = Math.max(most, open);
      setImmediate(() => (open -= 1));
      return slow(question);
    };
    const codes = await Promise.all(Array.from({ length: 300 }, () => code(suite, fields(4))));
    assert.deepEqual(new Set(codes), new Set([0]));
    assert.ok(most <= 100, `${most} at once`);
  });
});

void describe('an HTTP service with a body of its own', async () => {
  const service = new Service();
  const url = await service.listen();
  after(() => service.close());
  const suite = new Suite({
    settings: {
      AUTH_HTTP_URL: url,
      AUTH_HTTP_BODY: '{"who": "%u at %c", "proof": ["%p"], "of": "100%%"}',
      AUTH_HTTP_WHEN_AWAY: 'pass',
      ALLOW_ANONYMOUS: 'true',
    },
  });

  void test('the names stand in its texts, whatever is in them', async () => {
    service.answer = () => [200, { result: 'allow' }];
    const clientId = unique();
    const odd = { clientId, username: 'a"},{"b', password: '%u\\"\n' };
    assert.equal(await code(suite, odd), 0);
    assert.deepEqual(service.questions[0]?.body, {
      ...{ who: `a"},{"b at ${clientId}`, proof: ['%u\\"\n'], of: '100%' },
    });
    // Without a name there is nothing to ask.
    assert.equal(await code(suite, { clientId: unique() }), 0);
    assert.equal(service.questions.length, 1);
  });

  void test('while it is away the other sources decide', async () => {
    service.answer = () => [503];
    const named = { version: 5, clientId: unique(), username: 'x', password: 'y' } as const;
    assert.equal(await code(suite, named), 0x86);
    assert.equal(await code(suite, { version: 5, clientId: unique() }), 0);
  });
});
