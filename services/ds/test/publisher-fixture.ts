// The use case PUBLISH over stores in memory, which answer when and what the test says.
import { systemClock } from '@lmqtt/common/clock';
import {
  clientId,
  type Epoch,
  epoch,
  type NodeId,
  nodeId,
  queueId,
  queueName,
  sessionHandle,
} from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { type Message, messageOf, type OrderKey } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import type { Qos } from '@lmqtt/common/qos';
import type { Publish } from '@lmqtt/proto/link';
import type { AccessControl } from '../src/auth/auth-provider.ts';
import type {
  DelayedLine,
  DelayedPut,
  DelayedStore,
  DueMessage,
} from '../src/delayed-store/delayed-store.ts';
import { DsEvents } from '../src/events.ts';
import type {
  Append,
  InboundId,
  Outcome,
  PartitionEnd,
  QueueStore,
} from '../src/queue-store/queue-store.ts';
import type { RetainedStore } from '../src/retained-store/retained-store.ts';
import type { Outlet } from '../src/routing/outlet.ts';
import { Routes } from '../src/routing/routes.ts';
import { StoredSession } from '../src/session-store/stored-session.ts';
import { CsNode } from '../src/sessions/cs-node.ts';
import { LiveSession } from '../src/sessions/live-session.ts';
import { DelayedPublishes } from '../src/use-cases/delayed-publishes.ts';
import { Publisher } from '../src/use-cases/publish.ts';
import { FakeCs } from './fake-cs.ts';

interface OpenAppend {
  readonly append: Append;
  readonly done: (answered: Append[]) => void;
}

/** Appends that wait for the test, in the order in which they came. */
export class ScriptedAppends implements QueueStore {
  readonly open: OpenAppend[] = [];
  /** All that came, whatever became of them. */
  readonly came: Append[] = [];
  readonly asked: { readonly packetId: number; readonly say: (outcome: Outcome) => void }[] = [];
  readonly free: number[] = [];
  onCame: (append: Append) => void = () => undefined;
  #offset = 0;

  append(batch: Append[], done: (answered: Append[]) => void): void {
    for (const append of batch) {
      this.open.push({ append, done });
      this.came.push(append);
      this.onCame(append);
    }
  }

  /** Answers those, in one call where they came with one. */
  answer(answered: readonly OpenAppend[], reasonCode = 0): void {
    for (const one of answered) {
      this.open.splice(this.open.indexOf(one), 1);
      one.append.reasonCode = reasonCode;
      if (reasonCode !== 0) continue;
      one.append.orderKey = { placement: 0, offset: this.#offset };
      this.#offset += 1;
    }
    for (const done of new Set(answered.map((one) => one.done)))
      done(answered.filter((one) => one.done === done).map(({ append }) => append));
  }

  answerAll(reasonCode = 0): void {
    this.answer([...this.open], reasonCode);
  }

  outcome(_client: unknown, _epoch: Epoch, packetId: number): Promise<Outcome> {
    return new Promise((say) => this.asked.push({ packetId, say }));
  }

  givenUp({ packetId }: InboundId): void {
    this.free.push(packetId);
  }

  read(): Promise<never> {
    return Promise.reject(new Error('not read here'));
  }

  ends(): Promise<PartitionEnd[]> {
    return Promise.resolve([]);
  }

  onArrivals(): void {}
  onLost(): void {}
  trim(): void {}

  drop(): Promise<void> {
    return Promise.resolve();
  }
}

/** Retained messages whose puts wait for the test. */
export class ScriptedRetained implements RetainedStore {
  readonly open: { readonly message: Message; readonly done: (reasonCode: number) => void }[] = [];
  readonly lazy: Message[] = [];
  isFull = false;
  count = 0;
  bytes = 0;

  admits(): boolean {
    return !this.isFull;
  }

  put(message: Message, _key: OrderKey | undefined, done?: (reasonCode: number) => void): void {
    if (done === undefined) this.lazy.push(message);
    else this.open.push({ message, done });
  }

  answer(at: number, reasonCode = 0): void {
    const [put] = this.open.splice(at, 1);
    put?.done(reasonCode);
  }

  match(): Promise<{ messages: Message[]; next: undefined }> {
    return Promise.resolve({ messages: [], next: undefined });
  }

  version(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  pin(): void {}
  unpin(): void {}
}

export const access: AccessControl = {
  version: 1,
  authorise: (_principal, _client, _address, _action, topic) => !topic.startsWith('forbidden'),
  reading: () => undefined,
  onChange: () => undefined,
};

/** Takes what is put, and answers when the test says so. */
class ScriptedDelays implements DelayedStore {
  readonly count = 0;
  readonly bytes = 0;
  readonly puts: DelayedPut[] = [];
  readonly #waiting: (() => void)[] = [];

  put(batch: readonly DelayedPut[], done: () => void): void {
    this.puts.push(...batch);
    this.#waiting.push(done);
  }

  answer(): void {
    for (const done of this.#waiting.splice(0)) done();
  }

  takeDue(): DueMessage[] {
    return [];
  }

  sending(): void {}

  sent(): Promise<void> {
    return Promise.resolve();
  }

  failed(): void {}

  cancel(): Promise<boolean> {
    return Promise.resolve(false);
  }

  page(): Promise<DelayedLine[]> {
    return Promise.resolve([]);
  }
}

export interface PublisherSettings {
  readonly queueQos0?: boolean;
  readonly storesAll?: boolean;
}

export class PublisherFixture {
  readonly store: ScriptedAppends = new ScriptedAppends();
  readonly delays: ScriptedDelays = new ScriptedDelays();
  readonly retained: ScriptedRetained = new ScriptedRetained();
  readonly cs: FakeCs = new FakeCs();
  readonly node: CsNode = new CsNode(this.cs);
  readonly metrics: Metrics = new Metrics();
  readonly publisher: Publisher;
  readonly #routes: Routes;
  #handle = 0;

  /** There is one queue, `held`, that the node wants. */
  constructor({ queueQos0 = false, storesAll = false }: PublisherSettings = {}) {
    const nodes = new Map<NodeId, Outlet>([[nodeId('cs'), this.node]]);
    this.#routes = new Routes(nodes);
    this.#routes.apply({ kind: 'open', queue: queueId(1), name: queueName('held') });
    this.#routes.apply({ kind: 'interest', queue: queueId(1), node: nodeId('cs') });
    const events = new DsEvents(silentLogs(), this.metrics);
    this.publisher = new Publisher({
      ...{ nodes, access, qos0: { isQueued: queueQos0 }, storesAll, retainedMax: 10 },
      routes: this.#routes,
      queueStore: this.store,
      retained: this.retained,
      delayed: new DelayedPublishes({
        ...{ store: this.delays, access, clock: systemClock, events, delayMsMax: 0 },
      }),
      events,
    });
  }

  session(name: string, version: number, stored?: StoredSession): LiveSession {
    this.#handle += 1;
    const handle = sessionHandle(this.#handle);
    const claim = epoch(this.#handle);
    const kept = stored ?? new StoredSession(1, clientId(name), claim, 60);
    const facts = {
      ...{ protocolVersion: version, keepAliveS: 0, authenticationMethod: undefined },
      peer: { address: '127.0.0.1', port: 1, tls: false },
    };
    const session = new LiveSession(this.node, handle, claim, kept, facts, { user: undefined });
    this.node.sessions.set(handle, session);
    return session;
  }

  /** The same client connects again; what it sent before is still on its way. */
  again(session: LiveSession): LiveSession {
    this.node.sessions.delete(session.handle);
    return this.session(session.clientId, session.protocolVersion, session.stored);
  }

  publish(...batch: readonly Publish[]): void {
    this.publisher.publish(this.node, [...batch]);
  }

  /** Packet identifiers that were answered, in that order, each with its reason code. */
  get answers(): string[] {
    return this.cs.answered.map(({ packetId, reasonCode }) => `${packetId} ${reasonCode}`);
  }
}

export function publishOf(
  { handle, clientId: publisher }: LiveSession,
  packetId: number,
  qos: Qos,
  more: { readonly topic?: string; readonly retain?: boolean } = {},
): Publish {
  const { topic = 'held', retain = false } = more;
  const payload = Buffer.from(`${packetId}`);
  const message = messageOf({ topic, qos, retain, payload, publisher });
  return { session: handle, packetId, message, reasonCode: 0 };
}

export const packetIdsOf = (appends: readonly Append[]): number[] =>
  appends.map(({ message }) => Number(message.payload.toString()));
