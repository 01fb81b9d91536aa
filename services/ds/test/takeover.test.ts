import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId, epoch, nodeId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { Metrics } from '@lmqtt/common/metrics';
import { silentLogs } from '@lmqtt/common/log';
import { DsEvents } from '../src/events.ts';
import type {
  Claim,
  Claimed,
  ClaimRefused,
  Held,
  SessionStore,
} from '../src/session-store/session-store.ts';
import { claimFreed, heardAgain, type TakeoverPorts } from '../src/use-cases/takeover.ts';
import { connect, FakeCs, lost, startBroker, tryConnect, until } from './fake-cs.ts';

const held: Held = {
  kind: 'held',
  clientId: clientId('client'),
  epoch: epoch(2),
  node: nodeId('cs@ds-2'),
  handle: sessionHandle(2),
};
const claim: Claim = {
  clientId: clientId('client'),
  node: nodeId('cs@ds-1'),
  handle: sessionHandle(1),
  user: null,
  userChange: 'replace',
  cleanStart: false,
  sessionExpiryS: 0,
  will: undefined,
};
const over: ClaimRefused = { kind: 'refused', reason: 'other user' };

/** What was asked of the store and of other connections, by a claim that finds the session held. */
class HeldSession {
  readonly asked: string[] = [];
  readonly claimant = { wanted: true, heard: true };
  onClaim: () => void = () => {};
  onKick: () => void = () => {};
  end: (isFree: boolean) => void = () => {};
  readonly ended = new Promise<boolean>((resolve) => {
    this.end = resolve;
  });

  claimed(): Promise<Claimed | Held | ClaimRefused> {
    const asked = this.asked;
    const store: Pick<SessionStore, 'claim' | 'freed' | 'endHeld'> = {
      claim: () => {
        const isFirst = !asked.includes('claim');
        asked.push('claim');
        this.onClaim();
        return Promise.resolve(isFirst ? held : over);
      },
      freed: () => this.ended,
      endHeld: () => {
        asked.push('end');
        return Promise.resolve();
      },
    };
    const ports: TakeoverPorts = {
      sessionStore: store as SessionStore,
      events: new DsEvents(silentLogs(), new Metrics()),
      live: new Map(),
      takeoverMs: 60_000,
      kickAt: () => {
        asked.push('kick');
        this.onKick();
      },
    };
    return claimFreed(ports, claim, this.claimant);
  }
}

test('a connection at another ds is kicked, and its session claimed when it has ended', async () => {
  const session = new HeldSession();
  session.onKick = () => session.end(true);
  assert.equal(await session.claimed(), over);
  assert.deepEqual(session.asked, ['claim', 'kick', 'claim']);
});

test('a connection at another ds that nobody answers for is ended', async () => {
  const session = new HeldSession();
  session.onKick = () => session.end(false);
  assert.equal(await session.claimed(), over);
  assert.deepEqual(session.asked, ['claim', 'kick', 'end', 'claim']);
});

test('a CONNECT that was given up while it was claimed kicks nobody', async () => {
  const session = new HeldSession();
  session.onClaim = () => {
    session.claimant.wanted = false;
  };
  assert.equal(await session.claimed(), held);
  assert.deepEqual(session.asked, ['claim']);
});

test('a CONNECT that is given up while it waits for a held session claims no more', async () => {
  const session = new HeldSession();
  session.onKick = () => {
    session.claimant.wanted = false;
  };
  assert.equal(await session.claimed(), held);
  assert.deepEqual(session.asked, ['claim', 'kick']);
});

test('a CONNECT whose cs is not heard neither kicks nor ends the connection', async () => {
  const session = new HeldSession();
  session.claimant.heard = false;
  session.end(false);
  assert.equal(await session.claimed(), held);
  assert.deepEqual(session.asked, ['claim']);
});

test('a CONNECT whose cs is heard again kicks then', async () => {
  const session = new HeldSession();
  session.claimant.heard = false;
  session.onKick = () => session.end(true);
  const claimed = session.claimed();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(session.asked, ['claim']);
  session.claimant.heard = true;
  assert.equal(await claimed, over);
  assert.deepEqual(session.asked, ['claim', 'kick', 'claim']);
});

test('a CONNECT waits while its cs is not heard, until it is given up', async () => {
  const claimant = { wanted: true, heard: false };
  const ports = { takeoverMs: 60_000 } as TakeoverPorts;
  const waits = heardAgain(ports, claimant);
  claimant.wanted = false;
  await waits;
});

test('a CONNECT that was given up while it waited its turn displaces nobody', async () => {
  const broker = await startBroker();
  try {
    const kicked: SessionHandle[] = [];
    broker.cs.onKick = (session) => kicked.push(session);
    const first = await connect(broker, 'client');
    const second = connect(broker, 'client');
    await until(() => kicked.length === 1, 'the kick of the first connection');
    const third = tryConnect(broker, 'client');
    const thirdHandle = sessionHandle(first.session + 2);
    await new Promise((resolve) => setImmediate(resolve));
    await broker.link.disconnect(thirdHandle, lost);
    await broker.link.disconnect(first.session, lost);
    const { answer, session } = await third;
    assert.equal(session, thirdHandle);
    assert.equal(answer.kind, 'refused');
    await second;
    assert.deepEqual(kicked, [first.session]);
  } finally {
    await broker.stop();
  }
});

test('a CONNECT of a cs whose stream is broken displaces nobody of its own ds', async () => {
  const broker = await startBroker();
  try {
    const first = await connect(broker, 'client');
    const away = Object.assign(new FakeCs('away'), { reach: 'broken' } as const);
    const link = broker.ds.link.attach(away);
    const attached = { cs: away, link };
    const late = tryConnect(attached, 'client');
    const handle = sessionHandle(first.session + 1);
    await broker.link.settle(first.session);
    await link.disconnect(handle, lost);
    assert.equal((await late).answer.kind, 'refused');
    assert.deepEqual(broker.cs.kicked, []);
  } finally {
    await broker.stop();
  }
});
