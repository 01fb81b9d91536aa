import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { KeysUnavailable, KeySetUrl } from '../src/auth/jwt/jwt-keys.ts';
import { Circuit } from '../src/auth/http/circuit.ts';
import { identityRules } from '../src/auth/identity-rules.ts';
import { missingClaim, parseClaims } from '../src/auth/jwt/claims.ts';

const tokenOf = (
  kid: string,
): [{ alg: string; kid: string }, { payload: string; signature: string }] => [
  { alg: 'ES256', kid },
  { payload: '', signature: '' },
];

void describe('KeySetUrl', () => {
  let nowMs = 0;
  let answer: string | undefined;
  let asked = 0;
  const problems: (string | undefined)[] = [];
  const server = createServer((_request, response) => {
    asked += 1;
    if (answer === undefined) response.writeHead(500);
    response.end(answer);
  });
  const open = new Promise<string>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });
  after(() => server.close());
  const setOf = (...kids: string[]): string => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    return JSON.stringify({ keys: kids.map((kid) => ({ ...jwk, kid, alg: 'ES256' })) });
  };

  void it('keeps what it has while the server is away, and does not ask in a loop', async () => {
    const keys = new KeySetUrl(await open, {
      ...{ timeoutMs: 5000, ageMsMax: 60_000, pauseMs: 1000, nowMs: () => nowMs },
      report: (problem) => problems.push(problem),
    });
    await assert.rejects(keys.find(...tokenOf('a')), KeysUnavailable);
    // The pause counts for a server that is away as well.
    await assert.rejects(keys.find(...tokenOf('a')), KeysUnavailable);
    assert.equal(asked, 1);
    nowMs += 1001;
    answer = setOf('a');
    assert.equal((await keys.find(...tokenOf('a'))).length, 1);
    assert.equal(asked, 2);
    // Unknown keys of a thousand tokens are one question.
    nowMs += 1001;
    await Promise.all(Array.from({ length: 1000 }, () => keys.find(...tokenOf('b'))));
    assert.equal(asked, 3);
    answer = undefined;
    nowMs += 61_000;
    assert.equal((await keys.find(...tokenOf('a'))).length, 1);
    assert.equal((await keys.find(...tokenOf('b'))).length, 0);
    nowMs += 61_000;
    assert.equal((await keys.find(...tokenOf('a'))).length, 1);
    answer = '{"keys": 5}';
    nowMs += 1001;
    assert.equal((await keys.find(...tokenOf('c'))).length, 0);
    assert.equal((await keys.find(...tokenOf('a'))).length, 1);
    assert.equal(problems.filter((one) => one === undefined).length, 2);
  });
});

void describe('Circuit', () => {
  void it('opens after failures in a row, and one question closes it', () => {
    let nowMs = 0;
    const circuit = new Circuit({ monotonicMs: () => nowMs });
    for (let failure = 0; failure < 5; failure += 1) {
      assert.ok(circuit.mayAsk());
      circuit.failed();
    }
    assert.ok(!circuit.mayAsk());
    nowMs += 5000;
    assert.ok(circuit.mayAsk());
    assert.ok(!circuit.mayAsk(), 'one question tries it');
    circuit.failed();
    assert.ok(!circuit.mayAsk());
    nowMs += 5000;
    assert.ok(circuit.mayAsk());
    circuit.answered();
    assert.ok(circuit.mayAsk() && circuit.mayAsk());
  });
});

void describe('identityRules', () => {
  const names = { user: 'ann', clientId: 'c/1' };
  void it('takes both forms and nothing else', () => {
    assert.deepEqual(identityRules({ pub: ['a/%u', 'b/%c'], all: 'x/#' }, names), {
      rules: [
        { allow: true, action: 'publish', filter: 'a/ann' },
        // A client identifier with a slash in it widens nothing.
        { allow: true, action: 'all', filter: 'x/#' },
      ],
      rulesOnly: true,
    });
    assert.deepEqual(
      identityRules([{ permission: 'deny', action: 'subscribe', topics: ['a', 'b/%c'] }], names),
      {
        rules: [
          { allow: false, action: 'subscribe', filter: 'a' },
          { allow: false, action: 'subscribe', filter: 'b/#' },
        ],
      },
    );
    const wrong = [
      ...['all', 5, null, undefined, true, { publishes: ['a'] }, { pub: [5] }, { pub: {} }],
      ...[{ pub: ['a/#/b'] }, { pub: ['$share/g/a'] }, { pub: ['%x'] }, { pub: [''] }, [5], [null]],
      ...[[{ permission: 'maybe', action: 'all', topic: 'a' }], [{ permission: 'allow' }]],
      { pub: Array.from({ length: 1001 }, (_, index) => `t/${index}`) },
    ];
    for (const one of wrong)
      assert.equal(identityRules(one, names), undefined, JSON.stringify(one));
  });
});

void describe('claims', () => {
  const names = { user: undefined, clientId: 'c1' };
  const missing = (payload: object, text: string): string | undefined =>
    missingClaim({ ...payload }, parseClaims(text) ?? [], names);
  void it('are there, have the value, or contain it', () => {
    const payload = { iss: 'i', aud: ['a', 'b'], n: 5, yes: true, 'x.y': 'z', r: { s: ['t'] } };
    assert.equal(missing(payload, 'iss=i aud=b n=5 yes=true x.y=z r.s=t r'), undefined);
    assert.equal(missing(payload, 'iss=I'), 'iss');
    assert.equal(missing(payload, 'aud=c'), 'aud');
    assert.equal(missing(payload, 'none'), 'none');
    assert.equal(missing(payload, 'r.s.t'), 'r.s.t');
    assert.equal(missing(payload, 'constructor'), 'constructor');
    assert.equal(missing({ c: 'c1' }, 'c=%c'), undefined);
    // An unknown user name equals nothing, not even an empty claim.
    assert.equal(missing({ u: '' }, 'u=%u'), 'u');
    assert.equal(parseClaims('=x'), undefined);
    assert.equal(parseClaims('a..b'), undefined);
  });
});
