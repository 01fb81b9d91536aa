import type { TestContext } from 'node:test';
import { type ClientId, clientId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { calls } from '@lmqtt/proto/calls';
import type {
  ConnectAnswer,
  ConnectRequest,
  Link,
  PresentedSession,
  Refusal,
} from '@lmqtt/proto/link';
import { ClusterLinkServer } from '../src/link/cluster-link.ts';
import type { Directory, DsNode } from '../src/link/directory.ts';
import { chosen } from '../src/link/lane-choice.ts';
import { ClusterEvents } from '../src/link/lane-events.ts';
import { LinkCounters } from '../src/link/link-events.ts';
import type { LinkSettings } from '../src/link/link-end.ts';
import { FakeDs } from './link-fake-ds.ts';
import { FakeNode, linkSettings, presentedOf, ShiftedClock } from './link-fixture.ts';

/** A directory that a test changes. */
export class HandDirectory implements Directory {
  #nodes: readonly DsNode[];
  readonly #listeners: Set<() => void> = new Set();

  constructor(nodes: readonly DsNode[]) {
    this.#nodes = nodes;
  }

  nodes(): readonly DsNode[] {
    return this.#nodes;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(nodes: readonly DsNode[]): void {
    this.#nodes = nodes;
    for (const listener of this.#listeners) listener();
  }
}

/** Presents the sessions that it is asked for, and notes them. */
export class ClusterNodeStub extends FakeNode {
  override present(of?: (session: SessionHandle) => boolean): PresentedSession[] {
    const sessions = this.sessions.filter(({ session }) => of?.(session) ?? true);
    this.log.push(`present ${sessions.map(({ session }) => session).join(' ')}`.trim());
    this.happened();
    return sessions;
  }

  override presented(refusals: Refusal[], of?: (session: SessionHandle) => boolean): void {
    const sessions = this.sessions.filter(({ session }) => of?.(session) ?? true);
    this.onPresented(refusals);
    this.log.push(`presented ${sessions.map(({ session }) => session).join(' ')}`.trim());
    this.happened();
  }
}

export interface ClusterLinked {
  readonly node: ClusterNodeStub;
  readonly link: Link;
  readonly server: ClusterLinkServer;
  readonly directory: HandDirectory;
  readonly metrics: Metrics;
  readonly clock: ShiftedClock;
}

export function clusterLinkTo(
  t: TestContext,
  nodes: readonly DsNode[],
  options: { settings?: Partial<LinkSettings>; awayMs?: number } = {},
): ClusterLinked {
  const clock = new ShiftedClock();
  const metrics = new Metrics();
  const directory = new HandDirectory(nodes);
  const server = new ClusterLinkServer({
    settings: linkSettings(options.settings ?? {}),
    directory,
    clock,
    events: new ClusterEvents(silentLogs().broker, new LinkCounters(metrics)),
    counters: () => ({}),
    about: { version: 'test', address: '', startedAtMs: 1 },
    connections: () => 3,
    awayMs: options.awayMs ?? 300,
  });
  const node = new ClusterNodeStub(clock);
  const link = server.attach(node);
  node.link = link;
  t.after(() => server.detach());
  return { node, link, server, directory, metrics, clock };
}

/** A ds that lets clients in, and answers what they ask. */
export async function startDs(t: TestContext, id: string, leaseMs = 3000): Promise<FakeDs> {
  const ds = await FakeDs.start(t, { id, leaseMs });
  const accepted: ConnectAnswer = {
    kind: 'accepted',
    epoch: presentedOf(1).epoch,
    sessionPresent: false,
    state: { subscriptions: [], outbound: [], inbound: [] },
    subscriptionsLeft: 0,
    sessionExpiryS: 100,
    principal: '',
    rights: undefined,
    packetBytesMax: undefined,
    authenticationData: undefined,
  };
  ds.answerOf.set(calls.connect.method, () => calls.connect.answer.encode(accepted));
  ds.answerOf.set(calls.subscribe.method, () => calls.subscribe.answer.encode([]));
  return ds;
}

/** A client that belongs to the ds. */
export function clientAt(ds: FakeDs, all: readonly FakeDs[], number = 0): ClientId {
  for (let tried = 0, found = 0; ; tried++) {
    const client = clientId(`client-${tried}`);
    if (chosen(client, all, ({ id }) => id) !== ds) continue;
    if (found === number) return client;
    found += 1;
  }
}

/** Connects a session, which from then on is presented. */
export async function connectTo(
  { link, node }: ClusterLinked,
  session: number,
  client: ClientId,
): Promise<SessionHandle> {
  const handle = sessionHandle(session);
  await link.connect(connecting(session, client));
  node.sessions = [...node.sessions, { ...presentedOf(session), clientId: client }];
  return handle;
}

export function connecting(session: number, client: ClientId): ConnectRequest {
  return {
    session: sessionHandle(session),
    protocolVersion: 5,
    clientId: client,
    randomClientId: false,
    cleanStart: true,
    sessionExpiryS: 100,
    keepAliveS: 0,
    userName: undefined,
    password: undefined,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: undefined,
    peer: { address: '127.0.0.1', port: 1, tls: false },
  };
}
