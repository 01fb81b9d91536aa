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
import type { AppendFailure } from './events.ts';
import { Intending } from './intending.ts';
import { Lane, PendingSend } from './lane.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue, Target } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import { finalRefusal } from './refusal.ts';
import { RestingLanes } from './resting-lanes.ts';
import { SendLoad } from './send-load.ts';
import type { Targets } from './targets.ts';

/** How many cs may have as much under way as the limit says. */
const cssAtLimit = 4;
/** What its queue's reading costs a message in a lane that is too fast for it. */
const pacedMs = 250;
const pacedLookMs = 10;
const attemptMsMin = 1000;
const attemptMsMax = 5000;

export class Sender {
  readonly #options: RocketmqStoreOptions;
  readonly #targets: Targets;
  readonly #outcomes: Outcomes;
  readonly #isAhead: (queue: OrdinaryQueue) => boolean;
  readonly #batches = new Batches();
  readonly #keys = new UniqueKeys();
  readonly #lanes = new Map<string, Lane>();
  readonly #resting: RestingLanes;
  readonly #intending: Intending;
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
    this.#outcomes = outcomes;
    this.#resting = new RestingLanes(options.clock, (lane) => this.#pump(lane));
    this.#intending = new Intending(options, {
      intended: (send, kept) => {
        send.inbound = 'intended';
        if (send.state === 'failed') {
          if (kept) this.#intending.drop(send);
        } else if (!kept)
          this.#fail(send, ReasonCode.sessionTakenOver, 'taken over', 'another claim');
        this.#pump(send.lane);
      },
      told: (send) => {
        send.inbound = 'told';
        this.#release(send.lane);
      },
      failed: (send) => {
        send.inbound = 'to intend';
        this.#pauseLane(send.lane);
      },
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
      let lane = this.#lanes.get(append.lane);
      if (lane === undefined) {
        lane = new Lane(append.lane);
        this.#lanes.set(append.lane, lane);
      }
      const bytes = message.heldBytes;
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
        if (send.state === 'waiting' && send.inbound !== 'intending')
          this.#fail(send, ReasonCode.serverUnavailable, 'broker away', 'stopping');
      }
      this.#pump(lane);
    }
  }

  #admit(send: PendingSend): void {
    const { message, queues, inbound } = send.append;
    const verdict = judge(message);
    if (verdict !== 0) {
      this.#fail(send, verdict, 'not storable', 'its properties');
      return;
    }
    const max = this.#options.settings.pendingBytesMax;
    const isPassing = message.qos === 0 && queues.length === 0 && inbound === undefined;
    // Each cs holds its publishers back past the limit; what is under way from there is taken.
    if (this.#pendingBytes > (isPassing ? max : cssAtLimit * max)) {
      this.#fail(send, ReasonCode.quotaExceeded, 'limit', 'PENDING_APPEND_BYTES_MAX');
    }
  }

  /** Sends what the lane may send now. */
  #pump(lane: Lane): void {
    const nowMs = this.#options.clock.monotonicMs();
    while (!lane.held) {
      const send = lane.next;
      if (send === undefined) break;
      if (send.state === 'failed') {
        lane.begun += 1;
        continue;
      }
      if (nowMs >= send.deadlineMs && send.inbound !== 'intending') {
        this.#giveUp(send, 'broker away', 'it has waited too long');
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
      if (this.#isAhead(target.queue) && this.#isPaced(send, nowMs)) {
        lane.resumeAtMs = nowMs + pacedLookMs;
        if (lane.outstanding === 0) this.#resting.add(lane);
        break;
      }
      if (send.inbound === 'to intend') this.#intendAll(lane);
      if (send.inbound === 'intending') break;
      if (this.#send(send, target)) lane.begun += 1;
    }
    this.#release(lane);
  }

  /** Slower, not for ever: what is read late may be somebody else's doing. */
  #isPaced(send: PendingSend, nowMs: number): boolean {
    if (send.pacedUntilMs === 0) {
      send.pacedUntilMs = nowMs + pacedMs;
      this.#options.events.paced();
    }
    return nowMs < send.pacedUntilMs;
  }

  #mayPipeline(lane: Lane, { queue }: Target): boolean {
    return (
      queue.broker.pipelines &&
      queue === lane.queue &&
      !lane.isCautious &&
      !lane.isTroubled &&
      lane.outstanding < this.#options.settings.pipelineMax
    );
  }

  #seekTarget(lane: Lane, send: PendingSend): void {
    lane.held = true;
    this.#targets.seek(send.append.message.topic, (found) => {
      lane.held = false;
      if (found) this.#pump(lane);
      else this.#pauseLane(lane);
    });
  }

  /** The intents of all that wait in the lane, not of one after the other. */
  #intendAll(lane: Lane): void {
    const nowMs = this.#options.clock.nowMs();
    for (let at = lane.begun; at < lane.sends.length; at += 1) {
      const send = lane.sends[at]!;
      if (send.state !== 'waiting' || send.inbound !== 'to intend') continue;
      const target = this.#targets.of(send.append.message.topic);
      if (target === undefined) break;
      send.target = target;
      if (send.key === '') send.key = this.#keys.next(nowMs);
      this.#intending.intend(send);
    }
  }

  /** False: it cannot be sent at all. */
  #send(send: PendingSend, target: Target): boolean {
    const { clock } = this.#options;
    const { append, lane } = send;
    const { queue } = target;
    const nowMs = clock.nowMs();
    if (send.key === '') send.key = this.#keys.next(nowMs);
    const properties = propertiesOf(append.message, this.#namesOf(append), {
      key: send.key,
      nowMs,
      ...(send.again ? { more: [[own.again, `${send.from}`] as const] } : {}),
    });
    if (properties === undefined) {
      this.#fail(
        send,
        ReasonCode.quotaExceeded,
        'not storable',
        'its properties have no room in RocketMQ',
      );
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

  #namesOf({ queues }: Append): string[] {
    const names: string[] = [];
    for (const queue of queues) {
      const name = this.#options.queues.placeOf(queue);
      if (name !== undefined) names.push(name);
    }
    return names;
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
    if (lane.isTroubled) this.#settleTrouble(lane);
    this.#pump(lane);
  }

  #stored(send: PendingSend, target: Target, offset: number): void {
    target.queue.given(offset);
    send.state = 'stored';
    send.append.orderKey = { placement: target.placement, offset };
    send.lane.succeeded();
    if (send.inbound === 'intended') this.#intending.tell(send);
  }

  /** Never sent again. True: it counts as a failure. */
  #storedLate(send: PendingSend, target: Target, code: number): boolean {
    const { events, settings } = this.#options;
    events.sends['stored late'] += 1;
    events.storedLate(target.queue.broker.name, code);
    if (!settings.strict) return false;
    this.#fail(send, ReasonCode.quotaExceeded, 'broker refuses', `code ${code}`);
    return true;
  }

  #refused(send: PendingSend, target: Target, code: number, remark: string): void {
    const reasonCode = finalRefusal(code, remark);
    this.#options.events.busy(target.queue.broker.name, code, remark);
    if (reasonCode !== 0) this.#fail(send, reasonCode, 'broker refuses', `code ${code}: ${remark}`);
    else this.#bad(send, 'refused', `code ${code}: ${remark}`);
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
      this.#giveUp(send, why, reason);
      return;
    }
    send.state = state;
    lane.isTroubled = true;
  }

  /** What has to be sent again goes back to those that wait, in its order, when nothing is under way. */
  #settleTrouble(lane: Lane): void {
    for (const send of lane.overtaken()) {
      if (send.state === 'refused' || !send.isExact)
        this.#fail(send, ReasonCode.quotaExceeded, 'broker refuses', 'a later one is stored');
    }
    if (lane.outstanding > 0 || lane.held) return;
    const at = lane.firstUndone;
    if (at === -1) {
      lane.isTroubled = false;
      return;
    }
    const unsure = lane.sends.find(
      ({ state, isExact }, index) => index < lane.begun && state === 'unknown' && isExact,
    );
    if (unsure !== undefined) {
      void this.#findOut(unsure);
      return;
    }
    lane.isTroubled = false;
    for (const send of lane.sends.slice(at, lane.begun)) {
      if (send.state === 'failed') continue;
      send.state = 'waiting';
      this.#aimAgain(send);
    }
    lane.begun = at;
    this.#pauseLane(lane);
  }

  /** Of what is surely not stored, the place may be another by now. */
  #aimAgain(send: PendingSend): void {
    if (send.again) return;
    const target = this.#targets.of(send.append.message.topic);
    if (target !== undefined && target.queue === send.target?.queue) return;
    send.target = undefined;
    if (send.inbound === 'intended') send.inbound = 'to intend';
  }

  async #findOut(send: PendingSend): Promise<void> {
    const { lane, append, key, from } = send;
    const target = send.target!;
    const { events, clock } = this.#options;
    events.outcomeSought(target.queue.broker.name, 'a send came to no answer');
    lane.held = true;
    const timer = setTimeout(
      () => {
        // Its publisher has waited long enough; the intent stays for whoever asks for the outcome.
        this.#giveUp(send, 'outcome unknown', 'the broker is away');
        goOn();
      },
      Math.max(0, send.deadlineMs - clock.monotonicMs()),
    );
    const goOn = (): void => {
      lane.held = false;
      this.#settleTrouble(lane);
      this.#pump(lane);
    };
    const offset = await this.#outcomes.seek({ key, queue: target.queue, from });
    if (offset === undefined || send.state === 'failed') return;
    clearTimeout(timer);
    events.outcomeFound(append.message.topic, offset >= 0);
    if (offset >= 0) this.#stored(send, target, offset);
    else {
      send.state = 'refused';
      send.again = true;
    }
    goOn();
  }

  /** Those that wait behind it, too: its publisher may send it again, and they would be before it. */
  #giveUp(send: PendingSend, why: AppendFailure, reason: string): void {
    const { lane } = send;
    // Not 0x97, which says that the publisher has used up what it may have.
    this.#fail(send, ReasonCode.implementationSpecificError, why, reason);
    for (const later of lane.sends.slice(lane.begun)) {
      if (later.state !== 'waiting' || later.append.message.qos === 0) continue;
      const before = 'one before it has failed';
      this.#fail(later, ReasonCode.implementationSpecificError, 'broker away', before);
    }
  }

  #fail(send: PendingSend, reasonCode: number, why: AppendFailure, detail: string): void {
    const { append, inbound, state } = send;
    send.state = 'failed';
    append.reasonCode = reasonCode;
    append.final = why === 'not storable' || why === 'broker refuses';
    const isOpenStill = why === 'outcome unknown' || state === 'unknown' || state === 'stored';
    if (inbound === 'intended' && !isOpenStill && why !== 'taken over') this.#intending.drop(send);
    if (append.message.qos === 0) this.#options.events.qos0Dropped();
    else this.#options.events.appendFailed(why, append.message.topic, detail);
  }

  /** The lane goes on after a while. */
  #pauseLane(lane: Lane): void {
    lane.backOff(this.#options.clock.monotonicMs());
    this.#resting.add(lane);
  }

  #release(lane: Lane): void {
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
