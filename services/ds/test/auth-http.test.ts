// Questions to an HTTP service that wait for their turn.
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { systemClock } from '@lmqtt/common/clock';
import type { AuthRequest } from '../src/auth/auth-provider.ts';
import { HttpAuth } from '../src/auth/http/http-auth.ts';

void describe('an HTTP service that answers one question at a time', () => {
  let asked: (response: ServerResponse) => void = () => {};
  const server = createServer({ noDelay: true }, (_request, response) => asked(response));
  const nextQuestion = (): Promise<ServerResponse> =>
    new Promise((resolve) => {
      asked = resolve;
    });
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  function request(name: string, isWanted?: () => boolean): AuthRequest {
    return {
      ...{ clientId: clientId(name), userName: name, password: Buffer.from('p') },
      ...{ peer: { address: '127.0.0.1' }, protocolVersion: 5 as const, isWanted },
    };
  }

  function open(): HttpAuth {
    const { port } = server.address() as AddressInfo;
    return new HttpAuth({
      ...{ url: `http://127.0.0.1:${port}/`, body: null, token: null, timeoutMs: 60_000 },
      ...{ atOnce: 1, waitingMax: 10, keptMs: 0, whenAway: 'refuse', clock: systemClock },
      report: () => {},
    });
  }

  void test('a client that comes again while its own question waits is let in', async () => {
    const http = open();
    const question = nextQuestion();
    const first = http.authenticate(request('first'));
    const response = await question;
    let isThere = true;
    const gone = http.authenticate(request('again', () => isThere));
    isThere = false;
    const back = http.authenticate(request('again', () => true));
    const waiting = nextQuestion();
    response.writeHead(204).end();
    (await waiting).writeHead(204).end();
    const decisions = await Promise.all([first, gone, back]);
    assert.deepEqual(
      decisions.map(({ kind }) => kind),
      ['allow', 'allow', 'allow'],
    );
  });

  void test('a question that nobody waits for any more is not asked', async () => {
    const http = open();
    const question = nextQuestion();
    const first = http.authenticate(request('first'));
    const response = await question;
    let isThere = true;
    const gone = http.authenticate(request('gone', () => isThere));
    isThere = false;
    response.writeHead(204).end();
    assert.equal((await first).kind, 'allow');
    assert.equal((await gone).kind, 'deny');
  });
});
