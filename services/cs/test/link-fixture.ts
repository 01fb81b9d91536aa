import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Clock, systemClock } from '@lmqtt/common/clock';
import { clientId, epoch, nodeId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { type Message, messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import type { Qos } from '@lmqtt/common/qos';
import { readSettings } from '@lmqtt/common/settings/read';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type {
  Link,
  LinkedNode,
  PresentedSession,
  Publish,
  QueueEnd,
  Refusal,
} from '@lmqtt/proto/link';
import type { Directory } from '../src/link/directory.ts';
import { LinkCounters, LinkEvents } from '../src/link/link-events.ts';
import type { LinkSettings } from '../src/link/link-end.ts';
import { RemoteLinkServer } from '../src/link/remote-link.ts';

const untilMs = 60_000;

/** A condition that a test waits for: checked again whenever something happened. */
export class Watched {
  readonly #looks: Set<() => void> = new Set();

  happened(): void {
    for (const look of this.#looks) look();
  }

  until(what: string, holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#looks.delete(look);
        reject(new Error(`not within ${untilMs} ms: ${what}`));
      }, untilMs);
      const look = () => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#looks.delete(look);
        resolve();
      };
      this.#looks.add(look);
      look();
    });
  }
}

/** The system's clock, ahead by as much as a test says: a process that was stopped meanwhile. */
export class ShiftedClock implements Clock {
  shiftMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.shiftMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.shiftMs;
  }
}

/** A connection node reduced to what the link calls on it. */
export class FakeNode extends Watched implements LinkedNode {
  readonly node: ReturnType<typeof nodeId> = nodeId('cs-1');
  sessions: PresentedSession[] = [];
  /** In order: what was called. */
  readonly log: string[] = [];
  readonly answers: Publish[] = [];
  readonly pushed: Message[] = [];
  readonly ends: QueueEnd[] = [];
  readonly assigned: Assignment[] = [];
  readonly changes: { readonly up: boolean; readonly leased: boolean }[] = [];
  onPresented: (refusals: Refusal[]) => void = () => {};
  link: Link | undefined = undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  #note(what: string): void {
    this.log.push(what);
    this.happened();
  }

  published(batch: Publish[]): void {
    this.answers.push(...batch);
    this.#note(`published ${batch.map((each) => `${textOf(each)}:${each.reasonCode}`).join(' ')}`);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.#note(`refused ${session} ${reasonCode}`);
  }

  push(batch: Message[]): void {
    this.pushed.push(...batch);
    this.#note(`push ${batch.length}`);
  }

  assign(batch: Assignment[]): void {
    this.assigned.push(...batch);
    this.#note(`assign ${batch.length}`);
  }

  fence(fence: GroupFence): void {
    this.#note(`fence ${fence.number}`);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.#note(`kick ${session} ${reasonCode}`);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.#note(`rights ${session} ${rights}`);
  }

  behind(ends: QueueEnd[]): void {
    this.ends.push(...ends);
    this.#note('behind');
  }

  present(): PresentedSession[] {
    this.#note('present');
    return this.sessions;
  }

  presented(refusals: Refusal[]): void {
    this.onPresented(refusals);
    this.#note(`presented ${refusals.map(({ session }) => session).join(' ')}`.trim());
  }

  linkChanged(): void {
    const { link } = this;
    if (link === undefined) return;
    const leased = this.#clock.monotonicMs() < link.leaseEndsMs;
    this.changes.push({ up: link.up, leased });
    this.#note(`changed ${link.up ? 'up' : 'down'} ${leased ? 'leased' : 'frozen'}`);
  }
}

function textOf({ message }: Publish): string {
  return message.payload.toString();
}

export interface Linked {
  readonly node: FakeNode;
  readonly link: Link;
  readonly server: RemoteLinkServer;
  readonly clock: ShiftedClock;
  readonly metrics: Metrics;
}

export function linkSettings(settings: Partial<LinkSettings>): LinkSettings {
  return { ...readSettings({ args: [], environment: {} }), leaseMs: 600, ...settings };
}

/** A node that attaches to the ds of the directory, until the test ends. */
export function linkTo(
  t: TestContext,
  directory: Directory,
  settings: Partial<LinkSettings> = {},
  sessions: PresentedSession[] = [],
): Linked {
  const clock = new ShiftedClock();
  const metrics = new Metrics();
  const server = new RemoteLinkServer({
    settings: linkSettings(settings),
    directory,
    clock,
    events: new LinkEvents(silentLogs().broker, new LinkCounters(metrics)),
    counters: () => ({ 'messages/received': 7 }),
    about: { version: 'test', address: '', startedAtMs: 1 },
    connections: () => 3,
  });
  const node = new FakeNode(clock);
  node.sessions = sessions;
  const link = server.attach(node);
  node.link = link;
  t.after(() => server.detach());
  return { node, link, server, clock, metrics };
}

export function publishOf(text: string, qos: Qos = 1, session = 1): Publish {
  return {
    session: sessionHandle(session),
    packetId: qos === 0 ? 0 : 1,
    message: messageOf({ topic: 't', qos, retain: false, payload: Buffer.from(text) }),
    reasonCode: 0,
  };
}

export function presentedOf(session: number): PresentedSession {
  return {
    session: sessionHandle(session),
    clientId: clientId(`client-${session}`),
    epoch: epoch(1),
    protocolVersion: 5,
    keepAliveS: 60,
    peer: {
      address: '127.0.0.1',
      port: 1,
      tls: false,
      certificateSubject: undefined,
      certificateUser: undefined,
      listener: undefined,
      authentication: undefined,
      mount: undefined,
    },
    principal: '',
    authenticationMethod: undefined,
    sessionExpiryS: 100,
    state: { subscriptions: [], outbound: [], inbound: [] },
    storing: [],
    end: undefined,
  };
}

/** A counter, by name and labels as `/metrics` has them. */
export async function metric(metrics: Metrics, line: string): Promise<number> {
  const text = await metrics.registry.metrics();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  assert.ok(found !== undefined, `${line} in the metrics`);
  return Number(found.slice(line.length + 1));
}
