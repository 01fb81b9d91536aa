import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { AuthFailures, type Claimant } from '../src/auth/auth-failures.ts';
import type { AuthDecision, AuthRequest } from '../src/auth/auth-provider.ts';
import { GuardedAuth, GuardedEnhancedAuth } from '../src/auth/guarded-auth.ts';
import { Scram } from '../src/auth/scram.ts';

const minuteMs = 60_000;

function failures(
  perAddress: number,
  perUser: number,
): { all: AuthFailures; clock: { ms: number } } {
  const clock = { ms: 0 };
  const all = new AuthFailures({ perAddress, perUser }, { monotonicMs: () => clock.ms });
  return { all, clock };
}

function claimant(address: string, user: string, id = 'c'): Claimant {
  return { address, user, clientId: id };
}

function fail(all: AuthFailures, who: Claimant, count: number): void {
  for (let done = 0; done < count; done += 1) all.failed(who);
}

describe('failed authentications', () => {
  it('refuse one user name from one address, and leak away', () => {
    const { all, clock } = failures(0, 10);
    fail(all, claimant('192.0.2.1', 'ann'), 9);
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), undefined);
    fail(all, claimant('192.0.2.1', 'ann'), 1);
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), 'user');
    assert.equal(all.refuses(claimant('192.0.2.1', 'ben')), undefined);
    assert.equal(all.refuses(claimant('192.0.2.2', 'ann')), undefined, 'no weapon against ann');
    clock.ms = minuteMs / 10;
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), undefined);
    fail(all, claimant('192.0.2.1', 'ann'), 1);
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), 'user');
  });

  it('refuse an address, all of a /64 network together', () => {
    const { all } = failures(10, 0);
    for (let user = 0; user < 10; user += 1) fail(all, claimant('2001:db8::1', `u${user}`), 1);
    assert.equal(all.refuses(claimant('2001:db8:0:0:1:2:3:4', 'ann')), 'address');
    assert.equal(all.refuses(claimant('2001:db8:0:1::1', 'ann')), undefined);
    fail(all, claimant('::ffff:192.0.2.1', 'x'), 10);
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), 'address');
  });

  it('of others at its address do not touch a client that has come in before, only its own do', () => {
    const { all } = failures(20, 10);
    all.succeeded(claimant('192.0.2.1', 'ann', 'pump'));
    fail(all, claimant('192.0.2.1', 'ann', 'other'), 10);
    for (let user = 0; user < 10; user += 1) fail(all, claimant('192.0.2.1', `u${user}`), 1);
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann', 'other')), 'user');
    all.succeeded(claimant('192.0.2.1', 'ben', 'pump'));
    assert.equal(all.refuses(claimant('192.0.2.1', 'ben', 'other')), undefined);
    assert.equal(all.refuses(claimant('192.0.2.1', 'zoe', 'other')), 'address');
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann', 'pump')), undefined);
    fail(all, claimant('192.0.2.1', 'ann', 'pump'), 10);
    assert.equal(
      all.refuses(claimant('192.0.2.1', 'ann', 'pump')),
      'user',
      'nothing to guess with',
    );
  });

  it('make later answers late, up to a second; those under one name from everywhere as well', () => {
    const { all } = failures(0, 10);
    const delays = Array.from({ length: 10 }, () => all.failed(claimant('192.0.2.1', 'ann')));
    assert.deepEqual(delays, [0, 0, 0, 0, 0, 200, 400, 600, 800, 1000]);
    assert.equal(all.failed(claimant('192.0.2.2', 'ann')), 1000);
    assert.equal(all.refuses(claimant('192.0.2.2', 'ann')), undefined);
  });

  it('are forgotten by age where there are too many, and successes are never counted', () => {
    const { all } = failures(1, 1);
    fail(all, claimant('192.0.2.1', 'ann'), 1);
    for (let count = 0; count < 30_000; count += 1) {
      fail(all, claimant(`10.0.${count >> 8}.${count & 255}`, 'x'), 1);
      all.succeeded(claimant('192.0.2.9', `u${count}`));
    }
    assert.equal(all.refuses(claimant('192.0.2.1', 'ann')), undefined);
    assert.equal(all.refuses(claimant('192.0.2.9', 'new')), undefined);
  });
});

const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };
const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };

function request(userName: string | undefined, password: string): AuthRequest {
  const peer = { address: '192.0.2.1' };
  const all = { clientId: clientId('c'), userName, password: Buffer.from(password), peer };
  return { ...all, protocolVersion: 5 };
}

describe('authentication that counts failures', () => {
  it('refuses without asking, and what waits for its turn is no longer wanted', async () => {
    const { all } = failures(0, 3);
    const wanted: (() => boolean)[] = [];
    const refused = mock.fn();
    const inner = {
      authenticate: async ({ isWanted, password }: AuthRequest): Promise<AuthDecision> => {
        wanted.push(isWanted!);
        if (String(password) === 'right') return { kind: 'allow', principal: { user: 'ann' } };
        return wrong;
      },
    };
    const auth = new GuardedAuth(inner, { failures: all, refused });
    assert.deepEqual(await auth.authenticate(request(undefined, 'x')), { kind: 'pass' });
    assert.equal(wanted.length, 0);
    assert.deepEqual(await auth.authenticate(request('ann', 'x')), wrong);
    assert.equal(wanted[0]!(), true);
    await auth.authenticate(request('ann', 'x'));
    await auth.authenticate(request('ann', 'x'));
    assert.equal(wanted[0]!(), false);
    assert.deepEqual(await auth.authenticate(request('ann', 'right')), busy);
    assert.equal(wanted.length, 3);
    assert.equal(refused.mock.callCount(), 1);
    assert.equal((await auth.authenticate(request('ben', 'right'))).kind, 'allow');
  });

  it('counts failed exchanges of SCRAM as it counts passwords', async () => {
    const { all } = failures(0, 3);
    const users = {
      scramKeys: () => undefined,
      principal: () => undefined,
      scramOfNobody: () => ({ salt: Buffer.alloc(16), iterations: 4096 }),
    };
    const guard = { failures: all, refused: (): void => {} };
    const scram = new GuardedEnhancedAuth(new Scram('sha256', users), guard);
    const attempt = async (user: string): Promise<readonly unknown[]> => {
      const exchange = scram.start({ clientId: clientId('c'), peer: { address: '192.0.2.1' } });
      const first = await exchange.step(Buffer.from(`n,,n=${user},r=x`));
      if (first.kind === 'failure') return [first.kind, first.reasonCode];
      const last = await exchange.step(Buffer.from('c=biws,r=x,p=nothing'));
      return [last.kind, last.kind === 'failure' ? last.reasonCode : undefined];
    };
    for (let count = 0; count < 3; count += 1)
      assert.deepEqual(await attempt('ann'), ['failure', ReasonCode.notAuthorized]);
    assert.deepEqual(await attempt('ann'), ['failure', ReasonCode.serverBusy]);
    assert.deepEqual(await attempt('ben'), ['failure', ReasonCode.notAuthorized]);
  });
});
