// A session whose queues are opened, with calls of the stores in their order.
import { clientId, epoch, nodeId, type QueueId, queueId, sessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import type { SubscribeAnswer } from '@lmqtt/proto/link';
import { ClusterHoldings } from '../src/cluster/holdings.ts';
import { DsEvents } from '../src/events.ts';
import type { EndsWanted, PartitionEnd } from '../src/queue-store/queue-store.ts';
import type { RouteLog } from '../src/registry/route-log.ts';
import { Routes } from '../src/routing/routes.ts';
import type { SessionStore } from '../src/session-store/session-store.ts';
import { StoredSession } from '../src/session-store/stored-session.ts';
import { CsNode } from '../src/sessions/cs-node.ts';
import { LiveSession } from '../src/sessions/live-session.ts';
import type { Groups } from '../src/use-cases/groups.ts';
import { openOwnQueue } from '../src/use-cases/p2p.ts';
import type { SessionRights } from '../src/use-cases/session-rights.ts';
import { subscribe } from '../src/use-cases/subscribe.ts';
import { FakeCs } from './fake-cs.ts';
import { MovedClock } from './moved-clock.ts';
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
export class OpeningBench {
  readonly calls: string[] = [];
  stores = true;
  readonly node: CsNode = new CsNode(new FakeCs('cs-1'));
  readonly routes: Routes = new Routes(new Map([[this.node.id, this.node]]));
  readonly queueStore: ScriptedEnds = new ScriptedEnds();
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
      unsubscribe: () => Promise.resolve(true),
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

  subscribe(session: LiveSession, filter: string): Promise<SubscribeAnswer[]> {
    const options = {
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 2,
    } as const;
    const ports = {
      ...{ holdings: this.holdings, queueStore: this.queueStore },
      sessionStore: this.#sessionStore as SessionStore,
      events: new DsEvents(silentLogs(), new Metrics()),
      clock: new MovedClock(),
      rights: { admits: () => true } as Pick<SessionRights, 'admits'> as SessionRights,
      groups: {} as Groups,
      ...{ subscriptionsMax: 10, subscriptionBytesMax: 1000, overlappingMax: 10 },
    };
    const entry = { filter, options: { ...options, subscriptionIdentifier: undefined } };
    return subscribe(ports, session, [entry]);
  }

  end({ stored }: LiveSession): void {
    stored.removed = true;
    for (const each of stored.subscriptions) {
      this.holdings.disconnect(each, this.node);
      this.holdings.remove(each, stored);
    }
  }
}
