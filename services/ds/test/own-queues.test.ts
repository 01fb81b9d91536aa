// The queue of a client, opened with its session: what that asks of the stores.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clientId,
  epoch,
  nodeId,
  type QueueId,
  queueId,
  queueName,
  sessionHandle,
} from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { ClusterHoldings } from '../src/cluster/holdings.ts';
import { DsEvents } from '../src/events.ts';
import type { EndsWanted, PartitionEnd } from '../src/queue-store/queue-store.ts';
import type { RouteLog } from '../src/registry/route-log.ts';
import { Routes } from '../src/routing/routes.ts';
import type { SessionStore } from '../src/session-store/session-store.ts';
import { StoredSession } from '../src/session-store/stored-session.ts';
import { CsNode } from '../src/sessions/cs-node.ts';
import { LiveSession } from '../src/sessions/live-session.ts';
import { openOwnQueue } from '../src/use-cases/p2p.ts';
import { FakeCs } from './fake-cs.ts';
import { ScriptedAppends } from './publisher-fixture.ts';

const self = nodeId('ds-1');
const peer = { address: '192.0.2.1', port: 4711, tls: false };
const never = (): Promise<never> => Promise.reject(new Error('not of this test'));

/** A queue that has 7 messages. */
class ScriptedEnds extends ScriptedAppends {
  onEnds: (wanted: EndsWanted) => void = () => {};

  override ends(_?: QueueId, wanted: EndsWanted = 'all'): Promise<PartitionEnd[]> {
    this.onEnds(wanted);
    return Promise.resolve([{ partition: 0, first: 0, end: 7 }]);
  }
}

/** Calls of the stores, in their order. */
class Bench {
  readonly calls: string[] = [];
  stores = true;
  readonly node = new CsNode(new FakeCs('cs-1'));
  readonly routes = new Routes(new Map([[this.node.id, this.node]]));
  readonly queueStore = new ScriptedEnds();
  readonly holdings: ClusterHoldings;
  readonly #sessionStore: Pick<SessionStore, 'subscribe' | 'unsubscribe'>;

  constructor() {
    const log: RouteLog = {
      ...{ start: never, forget: never, settled: never, sweep: never, swept: never },
      sweptLately: never,
      held: () => {},
      open: (openings) => {
        for (const { name, holder, node } of openings) {
          this.calls.push(`open ${holder ?? '-'} ${node ?? '-'}`);
          this.routes.apply({ kind: 'open', queue: queueId(1), name, place: 'p' });
          if (node === undefined) continue;
          this.routes.apply({ kind: 'interest', queue: queueId(1), node, ds: self });
        }
        return Promise.resolve(openings.map(() => queueId(1)));
      },
      release: (_, holder) => this.calls.push(`release ${holder}`),
      uninterested: (_, node) => this.calls.push(`uninterested ${node}`),
    };
    this.holdings = new ClusterHoldings({
      ...{ routes: this.routes, log, self, live: new Map() },
      placeOf: (name) => ({ own: name }),
    });
    this.queueStore.onEnds = (wanted) => this.calls.push(`ends ${wanted}`);
    this.#sessionStore = {
      subscribe: (stored, _, put) => {
        for (const each of put) stored.putSubscription(each);
        this.calls.push('subscribe');
        return Promise.resolve(this.stores);
      },
      unsubscribe: never,
    };
  }

  session(sessionExpiryS: number): LiveSession {
    const stored = new StoredSession(0, clientId('c'), epoch(1), sessionExpiryS);
    const facts = { protocolVersion: 5, keepAliveS: 0, peer, authenticationMethod: undefined };
    const principal = { user: undefined };
    return new LiveSession(this.node, sessionHandle(1), epoch(1), stored, facts, principal);
  }

  open(session: LiveSession): Promise<void> {
    const sessionStore = this.#sessionStore as SessionStore;
    const { holdings, queueStore } = this;
    const events = new DsEvents(silentLogs(), new Metrics());
    return openOwnQueue({ holdings, sessionStore, queueStore, events, p2p: true }, session);
  }

  end({ stored }: LiveSession): void {
    stored.removed = true;
    for (const each of stored.subscriptions) {
      this.holdings.disconnect(each, this.node);
      this.holdings.remove(each, stored);
    }
  }
}

void test('pushes begin before the ends are read, of which the first offsets are not asked', async () => {
  const bench = new Bench();
  const session = bench.session(600);
  await bench.open(session);
  assert.deepEqual(bench.calls, ['open c cs-1', 'open - cs-1', 'ends without first', 'subscribe']);
  const [own] = session.stored.subscriptions;
  assert.deepEqual(
    own?.cursors.map(({ partition, position }) => [partition, position]),
    [[0, 7]],
  );
  assert.equal(bench.routes.named(queueName('$p2p/c'))?.pins, 0);
});

void test('a session that outlives its connection releases its queue, another was no holder', async () => {
  for (const [expiryS, calls] of [
    [600, ['uninterested cs-1', 'release c']],
    [0, ['uninterested cs-1']],
  ] as const) {
    const bench = new Bench();
    const session = bench.session(expiryS);
    await bench.open(session);
    bench.calls.splice(0);
    bench.end(session);
    assert.deepEqual(bench.calls, calls);
  }
});

void test('where the subscription is not stored, or its connection ends, nothing is wanted', async () => {
  const failing = new Bench();
  failing.stores = false;
  await failing.open(failing.session(0));
  assert.equal(failing.calls.at(-1), 'uninterested cs-1');
  const closing = new Bench();
  const session = closing.session(0);
  closing.queueStore.onEnds = () => session.close();
  await closing.open(session);
  assert.equal(closing.calls.at(-1), 'uninterested cs-1');
  const gone = new Bench();
  const early = gone.session(0);
  early.close();
  await gone.open(early);
  assert.equal(gone.calls.at(-1), 'uninterested cs-1');
});
