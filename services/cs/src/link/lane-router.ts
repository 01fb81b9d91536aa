import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { LinkLost } from '@lmqtt/proto/link-lost';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Link,
  Publish,
  ReadAnswer,
  ReadRequest,
  ReauthenticateAnswer,
  RetainedAnswer,
  RetainedRequest,
  SessionWrite,
  SubscribeAnswer,
  SubscribeEntry,
} from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import { laneOfAll, partsOf, SharedDurable } from './lane-batch.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';

/** How long a page of retained messages waits for ds other than the one that read it. */
const heardMs = 1000;

/**
 * The link of a node to several ds: what is about a session goes by the session's lane, from its
 * CONNECT until the end of its connection was answered; reads go by any.
 */
export class LaneRouter implements Link {
  readonly #lanes: Lanes;
  readonly #onPublished: (batch: Publish[]) => void;

  constructor(lanes: Lanes, onPublished: (batch: Publish[]) => void) {
    this.#lanes = lanes;
    this.#onPublished = onPublished;
  }

  get leaseEndsMs(): number {
    return this.#lanes.leaseEndsMs;
  }

  get up(): boolean {
    return this.#lanes.usable.length > 0;
  }

  /** Room of the lane that has the least, because a publisher may use any lane. */
  get roomBytes(): number {
    let least = Infinity;
    for (const lane of this.#lanes) least = Math.min(least, lane.link.roomBytes);
    return least;
  }

  get pushesWait(): boolean {
    for (const lane of this.#lanes) if (lane.link.pushesWait) return true;
    return false;
  }

  // Claims

  connect(request: ConnectRequest): Promise<ConnectAnswer> {
    const { session, clientId } = request;
    const lane = this.#lanes.forClient(clientId);
    if (lane === undefined) return Promise.reject(new LinkLost('no ds can be reached'));
    this.#lanes.put(session, lane);
    return this.#claim(session, lane.link.connect(request));
  }

  continueConnect(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
  ): Promise<ConnectAnswer> {
    const lane = this.#laneOf(session);
    if (lane === undefined) return gone();
    return this.#claim(session, lane.link.continueConnect(session, authenticationData));
  }

  async subscriptionsOf(session: SessionHandle, from: number): Promise<SubscriptionState[]> {
    const lane = this.#laneOf(session);
    if (lane === undefined) throw new LinkLost('the session is not known to any ds');
    try {
      return await lane.link.subscriptionsOf(session, from);
    } catch (error) {
      // The claim comes to nothing.
      if (error instanceof LinkLost) this.#lanes.forget(session);
      throw error;
    }
  }

  async #claim(session: SessionHandle, answer: Promise<ConnectAnswer>): Promise<ConnectAnswer> {
    let lives = false;
    try {
      const answered = await answer;
      lives = answered.kind !== 'refused';
      return answered;
    } finally {
      if (!lives) this.#lanes.forget(session);
    }
  }

  // Calls of a session

  reauthenticate(
    session: SessionHandle,
    authenticationData: Buffer | undefined,
    start: boolean,
  ): Promise<ReauthenticateAnswer> {
    const lane = this.#laneOf(session);
    return lane?.link.reauthenticate(session, authenticationData, start) ?? gone();
  }

  async disconnect(session: SessionHandle, end: ConnectionEnd, clientId?: ClientId): Promise<void> {
    // Without a lane it was never claimed, or ds said that it is over.
    const lane = this.#laneOf(session);
    try {
      await lane?.link.disconnect(session, end, clientId);
    } finally {
      this.#lanes.forget(session);
    }
  }

  subscribe(session: SessionHandle, subscriptions: SubscribeEntry[]): Promise<SubscribeAnswer[]> {
    return this.#laneOf(session)?.link.subscribe(session, subscriptions) ?? gone();
  }

  unsubscribe(session: SessionHandle, filters: string[]): Promise<number[]> {
    return this.#laneOf(session)?.link.unsubscribe(session, filters) ?? gone();
  }

  settle(session: SessionHandle): Promise<void> {
    return this.#laneOf(session)?.link.settle(session) ?? gone();
  }

  undelivered(session: SessionHandle, messages: readonly UndeliveredMessage[]): Promise<void> {
    return this.#laneOf(session)?.link.undelivered(session, messages) ?? gone();
  }

  /**
   * A retained message at QoS 0 is pushed before it is put, by whichever ds took it. So every other
   * ds answers before the page is used, and its earlier pushes have come by then.
   */
  async readRetained(request: RetainedRequest): Promise<RetainedAnswer> {
    const { session, version } = request;
    const lane = this.#laneOf(session);
    if (lane === undefined) return gone();
    const answer = await lane.link.readRetained(request);
    if (version !== undefined || answer.messages.length === 0) return answer;
    const others = this.#lanes.usable.filter((other) => other !== lane);
    if (others.length > 0) await this.#heard(others, session);
    return answer;
  }

  /** A lane that does not answer in time may be gone, and its pushes at QoS 0 are lost with it. */
  async #heard(lanes: readonly Lane[], session: SessionHandle): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise((resolve) => {
      timer = setTimeout(resolve, heardMs);
    });
    await Promise.race([
      Promise.allSettled(lanes.map(({ link }) => link.settle(session))),
      tooLate,
    ]);
    clearTimeout(timer);
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    this.#laneOf(session)?.link.credit(session, messagesTotal);
  }

  #laneOf(session: SessionHandle): Lane | undefined {
    return this.#lanes.bySession.get(session);
  }

  // Reads

  /** All readers of a queue ask the same ds, as long as it answers. */
  async read(request: ReadRequest): Promise<ReadAnswer> {
    const usable = [...this.#lanes.usable];
    const { length } = usable;
    if (length === 0) return this.#readLater(request);
    for (let tried = 0; ; tried++) {
      const lane = usable[(request.queue + tried) % length]!;
      try {
        return await lane.link.read(request);
      } catch (error) {
        if (tried + 1 === length) throw error;
      }
    }
  }

  /** The read waits for a lane, until one is there. */
  #readLater(request: ReadRequest): Promise<ReadAnswer> {
    for (const lane of this.#lanes) return lane.link.read(request);
    return Promise.reject(new Error('no ds is known'));
  }

  // Batches

  publish(batch: Publish[]): void {
    const { bySession } = this.#lanes;
    const only = laneOfAll(batch, bySession);
    if (only !== undefined) {
      only.link.publish(batch);
      return;
    }
    for (const [lane, part] of partsOf(batch, bySession))
      if (lane === undefined) this.#passedOver(part);
      else lane.link.publish(part);
  }

  /** Publishes of sessions that are over: nothing is to wait for them. */
  #passedOver(batch: Publish[]): void {
    const ended = batch.filter(({ message }) => message.qos > 0);
    for (const publish of ended) publish.reasonCode = ReasonCode.sessionTakenOver;
    if (ended.length > 0) this.#onPublished(ended);
  }

  split(batch: SessionWrite[]): SessionWrite[][] {
    const { bySession } = this.#lanes;
    if (laneOfAll(batch, bySession) !== undefined) return [batch];
    return [...partsOf(batch, bySession).values()];
  }

  write(batch: SessionWrite[], durable?: () => void): boolean {
    const { bySession } = this.#lanes;
    const only = laneOfAll(batch, bySession);
    if (only !== undefined) return only.link.write(batch, durable);
    const parts = batch.length === 0 ? this.#emptyParts() : partsOf(batch, bySession);
    parts.delete(undefined);
    const all = durable === undefined ? undefined : new SharedDurable(parts.size, durable);
    let known = false;
    for (const [lane, part] of parts) {
      if (lane!.link.write(part, all?.durable, all?.fenced)) known = true;
      else all?.fenced();
    }
    return known;
  }

  /** Asks each lane whether all that was written before is durable. */
  #emptyParts(): Map<Lane | undefined, SessionWrite[]> {
    return new Map([...this.#lanes].map((lane) => [lane, []]));
  }
}

function gone(): Promise<never> {
  return Promise.reject(new Error('the session is not known to any ds'));
}
