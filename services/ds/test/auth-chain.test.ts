import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { Anonymous } from '../src/auth/anonymous.ts';
import type { AccessControl, AuthDecision, AuthRequest } from '../src/auth/auth-provider.ts';
import { AuthChain } from '../src/auth/chain.ts';
import { HmacSha1 } from '../src/auth/hmac-sha1.ts';

function request(userName?: string, password?: string): AuthRequest {
  return {
    clientId: clientId('GID_test@@@device1'),
    userName,
    password: password === undefined ? undefined : Buffer.from(password),
    peer: { address: '127.0.0.1' },
    protocolVersion: 4,
  };
}

const account = { hmacUsername: 'ann', hmacSecretKey: 'secret' };
const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

describe('HmacSha1', () => {
  const hmac = new HmacSha1(() => account);

  it('takes base64(HmacSHA1(client id, secret key)) and nothing else', async () => {
    // printf %s 'GID_test@@@device1' | openssl dgst -sha1 -hmac secret -binary | base64
    const right = 'NW5TXLVdZ6euy8PHOr5pOHx1NjY=';
    assert.deepEqual(await hmac.authenticate(request('ann', right)), {
      kind: 'allow',
      principal: { user: 'ann' },
    });
    // Whoever is asked next does as much for it as for any other name.
    for (const password of ['', 'secret', right.slice(1), `${right} `, right.toLowerCase()])
      assert.deepEqual(await hmac.authenticate(request('ann', password)), { kind: 'pass' });
    assert.deepEqual(await hmac.authenticate(request('ann')), { kind: 'pass' });
  });

  it('passes on other names', async () => {
    assert.deepEqual(await hmac.authenticate(request('bob', 'x')), { kind: 'pass' });
    assert.deepEqual(await hmac.authenticate(request()), { kind: 'pass' });
  });
});

describe('AuthChain', () => {
  const rules = (version: number, topic: string): AccessControl => ({
    version,
    authorise: (_principal, _clientId, _address, _action, asked) => asked === topic,
    reading: () => ({ rules: [{ allow: true, filter: topic }], otherwise: false }),
    onChange: () => {},
  });

  it('asks one after another', async () => {
    const anonymous = { kind: 'allow', principal: { user: undefined } };
    const open = new AuthChain([new HmacSha1(() => account), new Anonymous(false)]);
    assert.deepEqual(await open.authenticate(request()), anonymous);
    assert.deepEqual(await open.authenticate(request('ann', 'x')), wrong);
    assert.deepEqual(await open.authenticate(request('bob', 'x')), wrong);
    const ignoring = new AuthChain([new Anonymous(true)]);
    assert.deepEqual(await ignoring.authenticate(request('admin', 'x')), anonymous);
    const local = new AuthChain([new Anonymous(true, 'loopback')]);
    const from = (address: string): AuthRequest => ({ ...request(), peer: { address } });
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1'])
      assert.deepEqual(await local.authenticate(from(address)), anonymous, address);
    for (const address of ['10.0.0.1', '::ffff:10.0.0.1', ''])
      assert.equal((await local.authenticate(from(address))).kind, 'deny', address);
    const closed = new AuthChain([]);
    assert.deepEqual(await closed.authenticate(request()), {
      kind: 'deny',
      reasonCode: ReasonCode.notAuthorized,
    });
  });

  it('allows what the rules allow, after those of the identity', () => {
    const ask = (chain: AuthChain, topic: string, own = false): boolean =>
      chain.authorise(
        own
          ? {
              user: 'ann',
              rules: [
                { allow: false, action: 'publish', filter: 'x/+' },
                { allow: true, action: 'all', filter: 'x/#' },
              ],
            }
          : { user: 'ann' },
        clientId('c'),
        '127.0.0.1',
        'publish',
        topic,
      );
    assert.equal(ask(new AuthChain([]), 'a'), true);
    const chain = new AuthChain([], { rules: rules(3, 'a') });
    assert.equal(chain.version, 3);
    assert.equal(ask(chain, 'a'), true);
    assert.equal(ask(chain, 'b'), false);
    assert.equal(ask(chain, 'x/y', true), false);
    assert.equal(ask(chain, 'x/y/z', true), true);
    assert.equal(ask(chain, 'a', true), true);
  });

  it('lets nobody with a namespace address clients, whose identifiers have none', () => {
    const ask = (chain: AuthChain, mount: string | undefined, topic: string): boolean =>
      chain.authorise(
        { user: 'ann', ...(mount && { mount }) },
        clientId('c'),
        '127.0.0.1',
        'publish',
        topic,
      );
    const [off, on] = [new AuthChain([]), new AuthChain([], { p2p: true })];
    for (const [mount, topic] of [
      // As the client names it, and as it would be understood.
      ['tenants/ann/', 'tenants/ann/a/p2p/other'],
      ['tenants/ann/', 'tenants/ann/a/p2p/other/x'],
      ['ann/', 'ann/p2p/other'],
      ['x/p2p/', 'x/p2p/other/a'],
    ] as const) {
      assert.equal(ask(on, mount, topic), false, topic);
      assert.equal(ask(off, mount, topic), true, topic);
      assert.equal(ask(on, undefined, topic), true, topic);
    }
    for (const topic of ['tenants/ann/p2p/a', 'tenants/ann/a/b/p2p/c', 'tenants/ann/a/p2p'])
      assert.equal(ask(on, 'tenants/ann/', topic), true, topic);
  });

  it('judges the filter inside of a shared one', () => {
    const ask = (filter: string): boolean =>
      new AuthChain([], { rules: rules(1, 'a') }).authorise(
        { user: undefined },
        clientId('c'),
        '::1',
        'subscribe',
        filter,
      );
    assert.equal(ask('$share/g/a'), true);
    assert.equal(ask('$share/a'), false);
  });

  it('lets nobody publish below $SYS/, but where it is wanted bridges their state', () => {
    const asks = (chain: AuthChain, topic: string, user?: string): boolean =>
      chain.authorise({ user }, clientId('c'), '127.0.0.1', 'publish', topic);
    const state = '$SYS/broker/connection/some/bridge/state';
    const [plain, bridges] = [new AuthChain([]), new AuthChain([], { bridgeState: true })];
    assert.equal(asks(plain, state), false);
    assert.equal(asks(bridges, state), true);
    for (const topic of ['$SYS/broker/uptime', '$SYS/broker/connection/b', '$SYS/x/state'])
      assert.equal(asks(bridges, topic), false, topic);
    assert.equal(
      asks(new AuthChain([], { rules: rules(1, 'other'), bridgeState: true }), state),
      false,
    );
    const all = { allow: true, action: 'all', filter: '$SYS/#' } as const;
    const owner = { user: 'ann', rules: [all] };
    assert.equal(plain.authorise(owner, clientId('c'), '127.0.0.1', 'publish', state), false);
  });
});
