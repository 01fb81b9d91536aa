import type { Clock } from '@lmqtt/common/clock';
import { sessionHandle } from '@lmqtt/common/ids';
import type { NodeId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  Assignment,
  ConnectionEnd,
  Downstream,
  Link,
  LinkServer,
  PresentedSession,
  Publish,
  QueueEnd,
  ReadAnswer,
  ReadRequest,
  Refusal,
  RetainedAnswer,
  RetainedRequest,
  SessionWrite,
} from '@lmqtt/proto/link';
import type { CsConfig } from './config.ts';
import type { Client, ClientNode } from './connection/client.ts';
import { Connection } from './connection/connection.ts';
import { onPublished } from './connection/packets/publish.ts';
import type { Counters } from './counters.ts';
import type { CsEvents } from './events.ts';
import { DueReports } from './due-reports.ts';
import { Feeds } from './queue/feeds.ts';
import type { QueueFeed } from './queue/feed.ts';
import { LeaseGate } from './lease-gate.ts';
import { Presentation } from './presentation.ts';
import type { Cursor } from './session/cursor.ts';
import type { SessionJournal } from './session/journal.ts';
import type { OutboundSession } from './session/outbound-session.ts';
import type { ByteStream } from './transport/transport.ts';
import { StoreBacklog } from './store-backlog.ts';
import { mark, Turn } from './turn.ts';
import { Wheel } from './wheel.ts';

const tickMs = 250;
const slowTickMs = 1000;
/** Cursors that ask the store each second whether they missed something (rule 9). */
const rechecksPerTick = 64;

/**
 * A connection node: its connections, the queues that they read, and the link. What comes from ds
 * goes to connections and feeds; what they have for ds is gathered by the turn.
 */
export class CsNode implements Downstream, ClientNode {
  readonly node: NodeId;
  readonly config: CsConfig;
  readonly events: CsEvents;
  readonly counters: Counters;
  readonly turn: Turn;
  readonly journal: SessionJournal;
  readonly wheel: Wheel;
  readonly link: Link;
  readonly leaseGate: LeaseGate;
  private readonly server: LinkServer;
  private readonly clock: Clock;
  private readonly feeds: Feeds;
  private readonly connections: Map<SessionHandle, Connection> = new Map();
  private readonly presentation: Presentation = new Presentation();
  private readonly reports: DueReports;
  private readonly backlog: StoreBacklog;
  private lastHandle = 0;
  private openCount = 0;
  private acceptedThisSecond = 0;
  private acceptSecond = 0;
  private wallMs: number;
  private monotonicMs: number;
  private timeIsFresh = false;
  private readonly timers: NodeJS.Timeout[] = [];
  private recheckFrom = 0;
  private stopping = false;

  constructor(
    node: NodeId,
    config: CsConfig,
    storeBytesMax: number,
    clock: Clock,
    events: CsEvents,
    counters: Counters,
    server: LinkServer,
  ) {
    this.node = node;
    this.config = config;
    this.backlog = new StoreBacklog(storeBytesMax);
    this.clock = clock;
    this.events = events;
    this.counters = counters;
    this.wallMs = clock.nowMs();
    this.monotonicMs = clock.monotonicMs();
    this.wheel = new Wheel(tickMs, this.monotonicMs);
    this.server = server;
    this.link = server.attach(this);
    const { link } = this;
    this.leaseGate = new LeaseGate(link, clock, (frozen) => this.leaseChanged(frozen));
    const { leaseGate } = this;
    this.feeds = new Feeds(
      {
        ringMessagesMax: config.ringMessages,
        ringBytesMax: config.ringBytes,
        readMessagesMax: config.readBatch,
        readBytesMax: config.ringBytes,
      },
      (request) => link.read(request),
    );
    this.turn = new Turn({
      publish: (batch) => link.publish(batch),
      write: (batch, durable) => link.write(batch, durable),
      beforeWrites: () => this.reports.beforeWrites(),
      beforeOutputs: () => leaseGate.look(),
      ended: () => this.feeds.release(),
    });
    const { turn } = this;
    this.reports = new DueReports(turn, link);
    this.journal = {
      write: (write) => turn.write(write),
      writeDurably: (write, then) => turn.writeDurably(write, then),
    };
    this.timers.push(setInterval(() => this.wheel.advance(this.turnMs), tickMs));
    this.timers.push(setInterval(() => this.slowTick(), slowTickMs));
  }

  // Time, as of this turn

  /** Monotonic ms. */
  get turnMs(): number {
    this.lookAtClock();
    return this.monotonicMs;
  }

  nowMs(): number {
    this.lookAtClock();
    return this.wallMs;
  }

  private lookAtClock(): void {
    if (this.timeIsFresh) return;
    this.timeIsFresh = true;
    this.wallMs = this.clock.nowMs();
    this.monotonicMs = this.clock.monotonicMs();
    setImmediate(this.newTurn);
  }

  private readonly newTurn = (): void => {
    this.timeIsFresh = false;
  };

  /** In one process there is no lease, and ds is never another one. */
  private get remote(): boolean {
    return this.link.leaseEndsMs !== Infinity;
  }

  // Connections

  accept(stream: ByteStream): void {
    this.counters.accepted += 1;
    const second = Math.floor(this.turnMs / 1000);
    if (second !== this.acceptSecond) {
      this.acceptSecond = second;
      this.acceptedThisSecond = 0;
    }
    this.acceptedThisSecond += 1;
    this.lastHandle += 1;
    const connection = new Connection(this, stream, sessionHandle(this.lastHandle));
    const { maxConnectionRate } = this.config;
    connection.tooFast = maxConnectionRate > 0 && this.acceptedThisSecond > maxConnectionRate;
    this.connections.set(connection.handle, connection);
    this.counters.connectionsMaximum = Math.max(
      this.counters.connectionsMaximum,
      this.connections.size,
    );
  }

  /** Connections of any state. */
  get connectionCount(): number {
    return this.connections.size;
  }

  /** Connections with a session. */
  get sessionCount(): number {
    return this.openCount;
  }

  opened(): void {
    this.openCount += 1;
  }

  closed(connection: Client, end: ConnectionEnd): Promise<void> {
    this.connections.delete(connection.handle);
    this.backlog.forget(connection);
    this.leaseGate.forget(connection.outbox);
    const { session, handle } = connection;
    if (session === undefined) return Promise.resolve();
    this.openCount -= 1;
    session.end();
    this.reports.forget(session);
    this.events.ended(connection, end);
    this.turn.flush();
    if (this.stopping) return Promise.resolve();
    const told = this.link
      .disconnect(handle, end)
      .catch((error: unknown) => this.events.linkFailed(connection, error));
    if (!this.remote) return told;
    this.presentation.ended(connection, end);
    return told.then(() => this.presentation.settled(handle));
  }

  /** A session was claimed for a connection that ended meanwhile. */
  disown(connection: Client, end: ConnectionEnd): void {
    this.link
      .disconnect(connection.handle, end)
      .catch((error: unknown) => this.events.linkFailed(connection, error));
  }

  connection(session: SessionHandle): Connection | undefined {
    return this.connections.get(session);
  }

  // Publishes

  publish(connection: Client, publish: Publish): void {
    if (!this.backlog.add(connection, publish)) this.events.limit('PENDING_APPEND_BYTES_MAX');
    this.turn.publish(publish);
  }

  /** So much waits for the store that publishers are not read. */
  get storeBehind(): boolean {
    return this.backlog.behind;
  }

  published(batch: Publish[]): void {
    for (const publish of batch) {
      this.backlog.answered(publish);
      const connection = this.connections.get(publish.session);
      if (connection !== undefined) onPublished(connection, publish);
      if (publish.reasonCode === ReasonCode.notAuthorized) this.events.notAuthorized();
    }
    this.backlog.letGo();
  }

  // Messages

  push(batch: Message[]): void {
    for (const message of batch) {
      const { entries } = message;
      const first = entries[0];
      if (first === undefined) continue;
      if (first.offset < 0) {
        if (entries.length > 1) mark(message);
        for (const entry of entries) this.feeds.deliverQos0(message, entry);
      } else {
        for (const entry of entries) this.feeds.push(message, entry);
      }
    }
    this.feeds.arrived();
    this.turn.begin();
  }

  assign(batch: Assignment[]): void {
    for (const assignment of batch) {
      const session = this.connections.get(assignment.session)?.session;
      if (session !== undefined && !session.closed) session.assign(assignment);
    }
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.connections.get(session)?.kick(reasonCode);
  }

  behind(places: QueueEnd[]): void {
    for (const { queue, partition, end } of places) this.feeds.behind(queue, partition, end);
    this.feeds.arrived();
    this.turn.begin();
  }

  // Another ds, or none

  present(): PresentedSession[] {
    // What was gathered is in what is presented, or waits for the new ds.
    this.reports.dropCredits();
    this.turn.flush();
    const connections = [...this.connections.values()];
    for (const { session } of connections) session?.presented();
    return this.presentation.present(connections);
  }

  presented(refusals: Refusal[]): void {
    const presented = this.openCount;
    for (const { session, reasonCode } of refusals) {
      this.presentation.settled(session);
      this.connections.get(session)?.fence(reasonCode);
    }
    for (const { session } of this.connections.values()) session?.goOn();
    this.leaseGate.look();
    if (presented > 0) this.events.presented(presented, refusals.length);
  }

  linkChanged(): void {
    this.leaseGate.look();
    this.turn.begin();
  }

  private leaseChanged(frozen: boolean): void {
    if (this.openCount === 0) return;
    if (frozen) {
      this.events.frozen(this.openCount);
      return;
    }
    this.events.thawed(this.openCount);
    for (const { session } of this.connections.values()) session?.wake();
  }

  /** Clients are not kept for ever by a node that can do nothing for them. */
  private closeWithoutLease(): void {
    if (this.openCount === 0 || this.leaseGate.overMs < this.config.dsLostMs) return;
    this.events.dsLost(this.openCount);
    for (const connection of [...this.connections.values()]) {
      if (connection.session !== undefined) {
        connection.close(ReasonCode.serverBusy, 'dispatch node lost');
      }
    }
  }

  // What sessions need

  feed(queue: QueueId, partition: number): QueueFeed {
    return this.feeds.of(queue, partition);
  }

  releaseFeed(feed: QueueFeed): void {
    this.feeds.dropUnread(feed);
  }

  readQueue(request: ReadRequest): Promise<ReadAnswer> {
    return this.link.read(request);
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    return this.link.readRetained(request);
  }

  schedule(session: OutboundSession): void {
    if (!session.scheduled) this.turn.pump(session);
  }

  positionMoved(session: OutboundSession, cursor: Cursor): void {
    this.reports.positionMoved(session, cursor);
  }

  credit(session: OutboundSession): void {
    this.reports.credit(session);
  }

  private slowTick(): void {
    this.reports.slowRound();
    this.recheckFrom = this.feeds.recheck(this.recheckFrom, rechecksPerTick);
    this.leaseGate.look();
    if (this.leaseGate.frozen) this.closeWithoutLease();
  }

  // The end

  /** Tells every client, and waits until ds has all that its session wrote. */
  async stop(waitMs: number): Promise<void> {
    this.stopping = true;
    for (const timer of this.timers) clearInterval(timer);
    for (const connection of [...this.connections.values()]) {
      connection.shutDown();
    }
    await new Promise<void>((resolve) => {
      this.turn.begin();
      setImmediate(resolve);
    });
    if (this.remote) {
      await this.handBack(waitMs);
      return;
    }
    await new Promise<void>((resolve) => {
      const nothing: SessionWrite[] = [];
      this.link.write(nothing, resolve);
    });
  }

  /** Says to ds that the sessions may go on elsewhere at once; otherwise the lease says it later. */
  private async handBack(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer of the dispatch node')), waitMs);
    });
    try {
      await Promise.race([this.server.detach(this.node), tooLate]);
    } catch (error) {
      this.events.notHandedBack(error);
    } finally {
      clearTimeout(timer);
    }
  }

  *metricsOfQueues(): Iterable<readonly [string, number]> {
    yield* this.feeds.figures();
  }

  inflightCount(): number {
    let count = 0;
    for (const connection of this.connections.values()) {
      count += connection.session?.window.count ?? 0;
    }
    return count;
  }
}
