// Appends on their way to brokers: lanes, what is retried and what is not, and the bound on all
// that waits. No promise for a message; what is sent in one turn leaves in one write.
import { ReasonCode } from '@lmqtt/common/reason-code';
import { judge } from '../../rocketmq/message/judge.ts';
import { own } from '../../rocketmq/message/property-names.ts';
import { bodyOf, propertiesOf } from '../../rocketmq/message/stored-properties.ts';
import { UniqueKeys } from '../../rocketmq/names/unique-key.ts';
import type { SendAnswer } from '../../rocketmq/remoting/requests/send-message.ts';
import type { Append } from '../queue-store.ts';
import { type Batch, Batches } from './batches.ts';
import { Intending } from './intending.ts';
import { LaneRecovery } from './lane-recovery.ts';
import { isPassing, SendLane, PendingSend } from './lane.ts';
import { lmqNamesOf } from './lmq-names.ts';
import { LeftQueues } from './left-queues.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue, Target } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import { hasNotThatQueue, noAnswer, refusalOf } from './refusal.ts';
import { RestingLanes } from './resting-lanes.ts';
import { SendFailures } from './send-failures.ts';
import { SendLoad } from './send-load.ts';
import type { Targets } from './targets.ts';

/** How many cs may have as much under way as the limit says. */
const cssAtLimit = 4;
/** Delay of a message in a lane that is too fast for the reading of its queue. */
const pacedMs = 250;
const pacedLookMs = 10;
const attemptMsMin = 1000;
const attemptMsMax = 5000;

export class Sender {
  readonly #options: RocketmqStoreOptions;
  readonly #targets: Targets;
  readonly #isAhead: (queue: OrdinaryQueue) => boolean;
  readonly #batches = new Batches();
  readonly #keys = new UniqueKeys();
  readonly #lanes = new Map<string, SendLane>();
  readonly #resting: RestingLanes;
  readonly #left: LeftQueues;
  readonly #intending: Intending;
  readonly #failures: SendFailures;
  readonly #recovery: LaneRecovery;
  /** QoS 2 publishes that are not answered. */
  readonly #open = new Map<string, PendingSend>();
  #pendingBytes = 0;
  readonly #load = new SendLoad();
  /** Within `append`: what is answered now is told in a later turn. */
  #appending = false;
  #closed = false;

  /** `isAhead`: of its tail, so that what is sent to the queue waits. */
  constructor(
    options: RocketmqStoreOptions,
    targets: Targets,
    outcomes: Outcomes,
    isAhead: (queue: OrdinaryQueue) => boolean,
  ) {
    this.#options = options;
    this.#isAhead = isAhead;
    this.#targets = targets;
    this.#resting = new RestingLanes(options.clock, (lane) => this.#pump(lane));
    this.#left = new LeftQueues(options, (lane) => this.#pump(lane));
    this.#intending = new Intending(options, {
      intended: (send, kept) => {
        if (send.state === 'failed, intending') {
          send.state = 'failed';
          if (kept) this.#intending.drop(send);
        } else {
          send.state = 'waiting';
          if (!kept)
            this.#failures.fail(send, ReasonCode.sessionTakenOver, 'taken over', 'another claim');
        }
        this.#pump(send.lane);
      },
      told: (send) => {
        send.state = 'stored';
        this.#release(send.lane);
      },
      failed: (send, reason) => {
        if (send.state === 'failed, intending') send.state = 'failed';
        else {
          send.state = 'to intend';
          if (options.clock.monotonicMs() >= send.deadlineMs)
            this.#failures.giveUp(send, 'broker away', reason);
        }
        this.#pauseLane(send.lane);
      },
    });
    this.#failures = new SendFailures(options.events, this.#intending);
    this.#recovery = new LaneRecovery({
      ...{ options, targets, outcomes, failures: this.#failures },
      stored: (send, offset) => this.#stored(send, send.target!, offset),
      pause: (lane) => this.#pauseLane(lane),
      pump: (lane) => this.#pump(lane),
    });
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** How long what is answered may wait to be told: 0 where something waits for it. */
  get gatherMs(): number {
    return this.#load.gatherMs;
  }

  append(appends: readonly Append[], done: (answered: Append[]) => void): void {
    const { settings, clock } = this.#options;
    const batch: Batch = { done, answered: [] };
    const deadlineMs = clock.monotonicMs() + settings.appendWaitMs;
    this.#appending = true;
    for (const append of appends) {
      const { message } = append;
      append.reasonCode = 0;
      append.orderKey = undefined;
      const bytes = message.heldBytes;
      // Nobody waits for it: it does not wait in its lane until those before it are answered.
      if (isPassing(append) && this.#pendingBytes + bytes > settings.pendingBytesMax) {
        append.reasonCode = ReasonCode.quotaExceeded;
        this.#options.events.qos0Dropped();
        this.#batches.answer(batch, append, true);
        continue;
      }
      let lane = this.#lanes.get(append.lane);
      if (lane === undefined) {
        lane = new SendLane(append.lane);
        this.#lanes.set(append.lane, lane);
      }
      const send = new PendingSend(append, batch, lane, bytes, deadlineMs);
      this.#pendingBytes += bytes;
      this.#load.appended();
      if (append.inbound !== undefined) this.#open.set(openName(append.inbound), send);
      lane.sends.push(send);
      this.#admit(send);
      this.#pump(lane);
    }
    this.#appending = false;
  }

  /** A publish with this identifier is not answered. */
  isOpen(inbound: { readonly clientId: string; readonly packetId: number }): boolean {
    return this.#open.has(openName(inbound));
  }

  /** The topics have moved: what is under way is answered from where it was sent. */
  close(): void {
    this.#closed = true;
    this.#resting.close();
    for (const lane of [...this.#lanes.values()]) {
      for (const send of lane.sends) {
        if (send.state === 'waiting' || send.state === 'to intend')
          this.#failures.fail(send, ReasonCode.serverUnavailable, 'broker away', 'stopping');
      }
      this.#pump(lane);
    }
  }

  #admit(send: PendingSend): void {
    const verdict = judge(send.append.message);
    if (verdict !== 0) {
      this.#failures.fail(send, verdict, 'not storable', 'its properties');
      return;
    }
    const max = this.#options.settings.pendingBytesMax;
    // Each cs holds its publishers back past the limit; what is under way from there is taken.
    if (this.#pendingBytes > cssAtLimit * max) {
      this.#failures.fail(send, ReasonCode.quotaExceeded, 'limit', 'PENDING_APPEND_BYTES_MAX');
    }
  }

  /** Sends what the lane may send now. */
  #pump(lane: SendLane): void {
    const nowMs = this.#options.clock.monotonicMs();
    while (!lane.held) {
      const send = lane.next;
      if (send === undefined) break;
      if (send.isFailed) {
        lane.begun += 1;
        continue;
      }
      if (nowMs >= send.deadlineMs && this.#isHopeless(send)) {
        this.#failures.giveUp(send, 'broker away', 'it has waited too long');
        continue;
      }
      if (lane.resumeAtMs > nowMs) {
        if (lane.outstanding === 0) this.#resting.add(lane);
        break;
      }
      const target = send.target ?? this.#targets.of(send.append.message.topic);
      if (target === undefined) {
        this.#seekTarget(lane, send);
        break;
      }
      if (lane.outstanding > 0 && !this.#mayPipeline(lane, target)) break;
      if (target.left !== undefined && this.#left.holds(lane, target)) break;
      if (this.#isAhead(target.queue) && this.#isPaced(send, nowMs)) {
        lane.resumeAtMs = nowMs + pacedLookMs;
        if (lane.outstanding === 0) this.#resting.add(lane);
        break;
      }
      if (send.state === 'to intend') this.#intending.intendAll(lane, this.#targets, this.#keys);
      if (send.state === 'intending') break;
      if (this.#send(send, target)) lane.begun += 1;
    }
    this.#release(lane);
  }

  /** Past its deadline: its broker is not there. One that is back takes what has waited for it. */
  #isHopeless({ state, target, append }: PendingSend): boolean {
    if (state === 'intending') return false;
    const aim = target ?? this.#targets.of(append.message.topic);
    return aim?.queue.broker.answers !== true;
  }

  /** Slower, not for ever: what is read late may be somebody else's doing. */
  #isPaced(send: PendingSend, nowMs: number): boolean {
    if (send.pacedUntilMs === 0) {
      send.pacedUntilMs = nowMs + pacedMs;
      this.#options.events.paced();
    }
    return nowMs < send.pacedUntilMs;
  }

  #mayPipeline(lane: SendLane, { queue }: Target): boolean {
    return (
      queue.broker.pipelines &&
      queue === lane.queue &&
      !lane.isCautious &&
      !lane.isTroubled &&
      lane.outstanding < this.#options.settings.pipelineMax
    );
  }

  #seekTarget(lane: SendLane, send: PendingSend): void {
    lane.held = true;
    this.#targets.seek(send.append.message.topic, (found) => {
      lane.held = false;
      // Answers that came meanwhile.
      if (lane.isTroubled) this.#recovery.settle(lane);
      if (found) this.#pump(lane);
      else this.#pauseLane(lane);
    });
  }

  /** False: it cannot be sent at all. */
  #send(send: PendingSend, target: Target): boolean {
    const { clock } = this.#options;
    const { append, lane } = send;
    const { queue } = target;
    const nowMs = clock.nowMs();
    if (send.key === '') send.key = this.#keys.next(nowMs);
    const properties = propertiesOf(
      append.message,
      lmqNamesOf(append, this.#options.queues, queue.topic),
      {
        key: send.key,
        nowMs,
        tag: target.tag,
        keys: target.keys,
        user: append.user,
        ...(send.again ? { more: [[own.again, `${send.from}`] as const] } : {}),
      },
    );
    if (properties === undefined) {
      const detail = 'its properties have no room in RocketMQ';
      this.#failures.fail(send, ReasonCode.quotaExceeded, 'not storable', detail);
      return false;
    }
    const { connection } = queue.broker;
    if (connection === undefined) {
      this.#pauseLane(lane);
      return false;
    }
    send.state = 'sent';
    send.target = target;
    if (append.once !== undefined && !send.again) send.from = Math.max(0, queue.end);
    send.run = queue.broker.run;
    lane.queue = queue;
    lane.outstanding += 1;
    this.#load.sent();
    send.sentMs = clock.monotonicMs();
    const leftMs = send.deadlineMs - send.sentMs;
    connection.send(
      {
        topic: queue.topic,
        queueId: queue.queueId,
        properties,
        body: bodyOf(append.message),
        bornMs: nowMs,
        timeoutMs: Math.min(attemptMsMax, Math.max(attemptMsMin, leftMs)),
      },
      (answer) => this.#answered(send, target, answer),
    );
    return true;
  }

  #answered(send: PendingSend, target: Target, answer: SendAnswer): void {
    const { events } = this.#options;
    const { lane } = send;
    lane.outstanding -= 1;
    this.#load.answered();
    switch (answer.kind) {
      case 'stored':
        if (answer.code === 0) {
          const tookMs = this.#options.clock.monotonicMs() - send.sentMs;
          this.#load.stored(tookMs);
          events.stored(tookMs);
        } else if (this.#storedLate(send, target, answer.code)) break;
        this.#stored(send, target, answer.queueOffset);
        break;
      case 'refused':
        events.sends.refused += 1;
        this.#refused(send, target, answer.code, answer.remark);
        break;
      default:
        events.sends[answer.kind] += 1;
        this.#bad(send, answer.kind === 'unknown' ? 'unknown' : 'refused', answer.reason);
    }
    if (lane.isTroubled) this.#recovery.settle(lane);
    this.#pump(lane);
  }

  #stored(send: PendingSend, target: Target, offset: number): void {
    target.queue.given(offset);
    send.state = 'stored';
    send.append.orderKey = { placement: target.placement, offset };
    send.lane.succeeded();
    if (send.append.inbound !== undefined) this.#intending.tell(send);
  }

  /** Never sent again. True: it counts as a failure. */
  #storedLate(send: PendingSend, target: Target, code: number): boolean {
    const { events, settings } = this.#options;
    events.sends['stored late'] += 1;
    events.storedLate(target.queue.broker.name, code);
    if (!settings.strict) return false;
    this.#failures.fail(send, noAnswer.reasonCode, 'broker refuses', `code ${code}`);
    return true;
  }

  #refused(send: PendingSend, target: Target, code: number, remark: string): void {
    const { isFinal, reasonCode } = refusalOf(code, remark);
    this.#options.events.busy(target.queue.broker.name, code, remark);
    if (hasNotThatQueue(code, remark)) this.#targets.refused(target.queue.topic);
    if (isFinal) {
      this.#failures.fail(send, reasonCode, 'broker refuses', `code ${code}: ${remark}`);
      return;
    }
    send.lastReasonCode = reasonCode;
    this.#bad(send, 'refused', `code ${code}: ${remark}`);
  }

  #bad(send: PendingSend, state: 'refused' | 'unknown', reason: string): void {
    const { append, lane } = send;
    const isUnsure = state === 'unknown' && send.isExact;
    // At most once, or too late.
    const isOver =
      this.#closed ||
      append.message.qos === 0 ||
      this.#options.clock.monotonicMs() >= send.deadlineMs;
    if (isOver && !isUnsure) {
      const why = state === 'unknown' ? 'outcome unknown' : 'broker away';
      this.#failures.giveUp(send, why, reason);
      return;
    }
    send.state = state;
    lane.isTroubled = true;
  }

  /** The lane goes on after a while. */
  #pauseLane(lane: SendLane): void {
    lane.backOff(this.#options.clock.monotonicMs());
    this.#resting.add(lane);
  }

  #release(lane: SendLane): void {
    for (;;) {
      const send = lane.takeSettled();
      if (send === undefined) break;
      const { append, batch } = send;
      this.#pendingBytes -= send.bytes;
      this.#load.released();
      if (append.inbound !== undefined) {
        const name = openName(append.inbound);
        if (this.#open.get(name) === send) this.#open.delete(name);
      }
      this.#batches.answer(batch, append, this.#appending);
    }
    if (lane.sends.length === 0 && this.#lanes.get(lane.name) === lane)
      this.#lanes.delete(lane.name);
  }
}

function openName(inbound: { readonly clientId: string; readonly packetId: number }): string {
  return `${inbound.packetId} ${inbound.clientId}`;
}
