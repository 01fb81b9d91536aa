import { type ClientIdRule, clientIdRuleOf } from '@lmqtt/common/client-id-rule';
import type { Clock } from '@lmqtt/common/clock';
import type { NodeId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import { receiptsTopic, type SentReceipt } from '@lmqtt/common/receipt';
import { ReadRightsTable } from '@lmqtt/common/read-rights';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type {
  ConnectionEnd,
  Link,
  LinkedNode,
  LinkServer,
  Publish,
  QueueEnd,
  ReadAnswer,
  ReadRequest,
  Refusal,
  RetainedAnswer,
  RetainedRequest,
  SessionsToPresent,
  SessionWrite,
} from '@lmqtt/proto/link';
import type { ReaderLimits } from './packet/reader-limits.ts';
import { type CsConfig, packetLimits } from './config.ts';
import type { Client, ClientNode } from './connection/client.ts';
import { Connections } from './connections.ts';
import type { Counters } from './counters.ts';
import type { CsEvents } from './events.ts';
import { DueReports } from './due-reports.ts';
import { Drain, type Farewell } from './drain.ts';
import { Entrance } from './entrance.ts';
import { Feeds } from './queue/feeds.ts';
import type { QueueFeed } from './queue/feed.ts';
import { IncomingPublishes } from './incoming-publishes.ts';
import { LeaseGate } from './lease-gate.ts';
import { LeaseLoss } from './lease-loss.ts';
import { type OfSessions, Presentation } from './presentation.ts';
import type { SessionCursor } from './session/cursor.ts';
import type { SessionJournal } from './session/journal.ts';
import type { OutboundSession } from './session/outbound-session.ts';
import { PublishRates } from './publish-rates.ts';
import { Retransmission } from './retransmission.ts';
import { mark, Turn } from './turn.ts';
import { TurnTime } from './turn-time.ts';
import { UndeliveredCalls } from './undelivered-calls.ts';
import { Wheel } from './wheel.ts';
import { WheelTicks } from './wheel-ticks.ts';

const tickMs = 250;
const slowTickMs = 1000;
/** Cursors that ask the store each second whether they missed something. */
const rechecksPerTick = 64;

/**
 * Between the connections of a node, the queues that they read, and ds: what comes over the link
 * goes to connections and feeds, what they have for ds is gathered by the turn.
 *
 * Invariants
 * - ds hears of a session's end after all that the session wrote.
 * - Of a ds that is lost, clients hear after DS_LOST_MS; past the lease nothing leaves to them.
 */
export class ConnectionNode implements LinkedNode, ClientNode {
  readonly node: NodeId;
  readonly config: CsConfig;
  readonly packetLimits: ReaderLimits;
  readonly clientIdRule: ClientIdRule | undefined;
  readonly events: CsEvents;
  readonly counters: Counters;
  readonly time: TurnTime;
  readonly turn: Turn;
  readonly connections: Connections;
  readonly entrance: Entrance;
  readonly journal: SessionJournal;
  readonly wheel: Wheel;
  readonly link: Link;
  readonly undelivered: UndeliveredCalls | undefined;
  readonly leaseGate: LeaseGate;
  readonly rightsTable: ReadRightsTable;
  readonly #server: LinkServer;
  readonly feeds: Feeds;
  readonly #leaseLoss: LeaseLoss = new LeaseLoss(this);
  readonly #presentation: Presentation;
  readonly #reports: DueReports;
  readonly publishes: IncomingPublishes;
  readonly drain: Drain;
  readonly publishRates: PublishRates;
  readonly #timers: NodeJS.Timeout[] = [];
  #recheckFrom = 0;
  #stopping = false;

  constructor(
    node: NodeId,
    config: CsConfig,
    storeBytesMax: number,
    clock: Clock,
    events: CsEvents,
    counters: Counters,
    server: LinkServer,
    others: () => Promise<readonly string[]> = () => Promise.resolve([]),
  ) {
    this.node = node;
    this.config = config;
    this.packetLimits = packetLimits(config);
    this.clientIdRule = clientIdRuleOf(config.clientIdRule);
    this.events = events;
    this.counters = counters;
    this.rightsTable = new ReadRightsTable(config.aclCache);
    this.time = new TurnTime(clock);
    this.wheel = new Wheel(tickMs, this.time.monotonicMs);
    this.publishRates = new PublishRates(config, this.time, this.wheel);
    this.connections = new Connections(this);
    this.drain = new Drain({
      clock,
      connections: () => this.connections.all(),
      others,
    });
    const { connectsAtOnce: atOnceMax, maxConnections: connectionsMax } = config;
    this.entrance = new Entrance(
      { atOnceMax, connectionsMax, pendingMax: config.maxPendingConnections / 2 },
      {
        sessions: () => this.connections.sessionCount,
        asks: () => this.asksDs,
        onNoDs: () => events.waitsForDs(),
        accepted: () => counters.accepted,
        pending: () => this.connections.pending.count,
        onWait: () => events.limit('CONNECTS_AT_ONCE'),
      },
    );
    this.#server = server;
    this.link = server.attach(this);
    const { link } = this;
    this.undelivered = config.deadLetters
      ? new UndeliveredCalls(link, config.deadLetterExpired, () => events.notTold())
      : undefined;
    this.leaseGate = new LeaseGate(link, clock, (frozen) => this.#leaseLoss.changed(frozen));
    const { leaseGate } = this;
    this.feeds = new Feeds(
      {
        ringMessagesMax: config.ringMessages,
        ringBytesMax: config.ringBytes,
        readMessagesMax: config.readBatch,
        readBytesMax: config.ringBytes,
      },
      (request) => link.read(request),
      () => this.time.monotonicMs,
    );
    this.turn = new Turn({
      publish: (batch) => {
        link.publish(batch);
        this.publishes.handedOver();
      },
      write: (batch, durable) => link.write(batch, durable),
      split: (batch) => link.split?.(batch) ?? [batch],
      beforeWrites: () => this.#reports.beforeWrites(),
      beforeOutput: () => leaseGate.look(),
      ended: () => this.feeds.release(),
    });
    const { turn } = this;
    this.publishes = new IncomingPublishes(this, turn, events, storeBytesMax);
    this.#reports = new DueReports(turn, link);
    this.#presentation = new Presentation(this, this.#reports);
    this.journal = {
      write: (write) => turn.write(write),
      writeDurably: (write, then) => turn.writeDurably(write, then),
    };
    const ticks = new WheelTicks(this.wheel, this.time, tickMs);
    this.#timers.push(setInterval(() => ticks.tick(), tickMs));
    this.#timers.push(setInterval(() => this.#slowTick(), slowTickMs));
    if (config.retryUnacknowledged) {
      const retransmission = new Retransmission(config, () => {
        counters.retransmitted += 1;
      });
      const look = (): void => retransmission.look(this.connections.all(), this.time.monotonicMs);
      this.#timers.push(setInterval(look, retransmission.everyMs));
    }
  }

  /** Not while the link is down, nor past the lease: a claim would come to nothing. */
  get asksDs(): boolean {
    return this.link.up && this.time.monotonicMs < this.link.leaseEndsMs;
  }

  farewell(): Farewell | undefined {
    return this.drain.farewell();
  }

  get remote(): boolean {
    return this.link.leaseEndsMs !== Infinity;
  }

  // Connections

  closed(connection: Client, end: ConnectionEnd): Promise<void> {
    this.connections.ended(connection);
    this.entrance.left(connection);
    this.publishes.forget(connection);
    this.leaseGate.forget(connection.outbox);
    const { session, handle } = connection;
    if (session === undefined) {
      if (connection.atDs) this.disown(connection, end);
      return Promise.resolve();
    }
    for (const publish of connection.inbound.takeHeld()) this.turn.publish(publish);
    this.undelivered?.ended(session);
    session.end();
    this.#reports.forget(session);
    this.events.ended(connection, end);
    this.turn.flush();
    if (this.#stopping) return Promise.resolve();
    const told = this.link
      .disconnect(handle, end, connection.clientId)
      .catch((error: unknown) => this.#linkFailed(connection, error));
    if (!this.remote) return told;
    this.#presentation.ended(connection, end);
    return told.then(() => this.#presentation.confirmed(handle));
  }

  /** A call that was on its way when the node leaves has told ds all it needs. */
  #linkFailed(connection: Client, error: unknown): void {
    if (!this.#stopping) this.events.linkFailed(connection, error);
  }

  /** A session was claimed for a connection that ended meanwhile. */
  disown(connection: Client, end: ConnectionEnd): void {
    this.link
      .disconnect(connection.handle, end, connection.clientId)
      .catch((error: unknown) => this.#linkFailed(connection, error));
  }

  // Publishes

  published(batch: Publish[]): void {
    this.publishes.answered(batch);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.publishes.refused(session, reasonCode);
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

  fence(fence: GroupFence): void {
    const session = this.connections.get(fence.session)?.session;
    if (session !== undefined && !session.closed) session.fence(fence);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.connections.get(session)?.kick(reasonCode);
  }

  rights(handle: SessionHandle, rights: string | undefined): void {
    const connection = this.connections.get(handle);
    const session = connection?.session;
    if (session === undefined) {
      if (connection !== undefined) connection.rightsEarly = { text: rights };
      return;
    }
    session.allow(this.rightsTable.of(rights), () => connection?.kick(ReasonCode.notAuthorized));
  }

  behind(places: QueueEnd[]): void {
    for (const { queue, partition, end } of places) this.feeds.behind(queue, partition, end);
    this.feeds.arrived();
    this.turn.begin();
  }

  // Another ds, or none

  present(of?: OfSessions): SessionsToPresent {
    return this.#presentation.present(of);
  }

  presented(refusals: Refusal[], of?: OfSessions): void {
    this.#presentation.presented(refusals, of);
  }

  linkChanged(): void {
    this.publishes.handedOver();
    this.leaseGate.look();
    this.entrance.linkChanged();
    this.turn.begin();
  }

  // Functions for sessions

  feed(queue: QueueId, partition: number): QueueFeed {
    return this.feeds.of(queue, partition);
  }

  releaseFeed(feed: QueueFeed): void {
    this.feeds.dropUnread(feed);
  }

  partitionsOf(queue: QueueId): number[] {
    return this.feeds.partitionsOf(queue);
  }

  readQueue(request: ReadRequest): Promise<ReadAnswer> {
    return this.link.read(request);
  }

  sendReceipt({ handle: session, clientId }: OutboundSession, receipt: SentReceipt): void {
    const payload = Buffer.from(JSON.stringify(receipt));
    // Kept until ds has stored it, whichever ds that is.
    const parts = { topic: receiptsTopic, qos: 1, retain: false, payload } as const;
    const message = messageOf({ ...parts, publisher: clientId });
    this.turn.publish({ session, packetId: 0, message, reasonCode: 0 });
  }

  readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    return this.link.readRetained(request);
  }

  schedule(session: OutboundSession): void {
    if (!session.scheduled) this.turn.pump(session);
  }

  positionMoved(session: OutboundSession, cursor: SessionCursor): void {
    this.#reports.positionMoved(session, cursor);
  }

  credit(session: OutboundSession): void {
    this.#reports.credit(session);
  }

  #slowTick(): void {
    this.publishes.letGo();
    this.feeds.unread.next();
    this.publishRates.sweep();
    this.#reports.slowRound();
    // Pushed messages that are still under way would be read a second time.
    if (this.link.pushesWait !== true)
      this.#recheckFrom = this.feeds.recheck(this.#recheckFrom, rechecksPerTick);
    this.leaseGate.look();
    if (this.leaseGate.frozen) this.#leaseLoss.closeLost();
  }

  // The end

  /** Tells every client, and waits until ds has all that its session wrote. */
  async stop(waitMs: number): Promise<void> {
    this.#stopping = true;
    this.drain.end();
    for (const timer of this.#timers) clearInterval(timer);
    this.publishes.stop();
    for (const connection of this.connections.all()) connection.shutDown();
    await new Promise<void>((resolve) => {
      this.turn.begin();
      setImmediate(resolve);
    });
    if (this.remote) {
      await this.#handBack(waitMs);
      return;
    }
    await new Promise<void>((resolve) => {
      const nothing: SessionWrite[] = [];
      this.link.write(nothing, resolve);
    });
  }

  /** Says to ds that the sessions may go on elsewhere at once; otherwise the lease says it later. */
  async #handBack(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('no answer of the dispatch node')), waitMs);
    });
    try {
      await Promise.race([this.#server.detach(this.node), tooLate]);
    } catch (error) {
      this.events.notHandedBack(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
