// Recovery of a lane after sends that were refused, or of which nothing certain came back. When
// nothing is under way any more, a search finds out which of those that must be stored once are
// stored, all of them together; then those that are not stored go back to the ones that wait, in
// their order.
import type { RocketmqStoreOptions } from './options.ts';
import type { SendLane, PendingSend } from './lane.ts';
import type { Outcomes } from './outcomes.ts';
import { noAnswer } from './refusal.ts';
import type { SendFailures } from './send-failures.ts';
import type { Targets } from './targets.ts';

const lookAgainMs = 1000;
/** Time for the mark and the reading. */
const askedMs = 5000;

interface LaneRecoveryPorts {
  readonly options: RocketmqStoreOptions;
  readonly targets: Targets;
  readonly outcomes: Outcomes;
  readonly failures: SendFailures;
  stored(send: PendingSend, offset: number): void;
  pause(lane: SendLane): void;
  pump(lane: SendLane): void;
}

export class LaneRecovery {
  readonly #ports: LaneRecoveryPorts;

  constructor(ports: LaneRecoveryPorts) {
    this.#ports = ports;
  }

  /** To be called after each answer while the lane is troubled. */
  settle(lane: SendLane): void {
    for (const send of lane.overtaken()) {
      if (send.state !== 'refused' && send.isExact) continue;
      const detail = 'a later one is stored';
      this.#ports.failures.fail(send, noAnswer.reasonCode, 'broker refuses', detail);
    }
    if (lane.outstanding > 0 || lane.held) return;
    const at = lane.firstUndone;
    if (at === -1) {
      lane.isTroubled = false;
      return;
    }
    const { unsure } = lane;
    if (unsure.length > 0) {
      this.#findOut(lane, unsure);
      return;
    }
    lane.isTroubled = false;
    for (const send of lane.sends.slice(at, lane.begun)) if (!send.isFailed) send.state = 'waiting';
    for (const send of lane.sends.slice(at)) this.#aimAgain(send);
    lane.begun = at;
    this.#ports.pause(lane);
  }

  /** A message that is surely not stored may have another place by now than its intent says. */
  #aimAgain(send: PendingSend): void {
    if (!send.isWaiting || send.target === undefined) return;
    if (send.again || send.state === 'intending') return;
    const target = this.#ports.targets.of(send.append.message.topic);
    if (target !== undefined && target.queue === send.target.queue) return;
    send.target = undefined;
    if (send.append.inbound !== undefined) send.state = 'to intend';
  }

  /** Nothing is sent until all are known, or have been given up. */
  #findOut(lane: SendLane, unsure: readonly PendingSend[]): void {
    const { options, outcomes } = this.#ports;
    const [first] = unsure;
    const { deadlineMs, target } = first!;
    options.events.outcomeSought(target!.queue.broker.name, 'a send came to no answer');
    lane.held = true;
    const look = (): void => {
      if (this.#mayWait(first!)) {
        timer = setTimeout(look, lookAgainMs);
        return;
      }
      this.#giveUp(unsure);
      this.#goOn(lane);
    };
    let timer = setTimeout(look, Math.max(0, deadlineMs - options.clock.monotonicMs()));
    for (const send of unsure) {
      const { key, from, run } = send;
      const { queue } = send.target!;
      void outcomes.seek({ key, queue, from, run }).then((offset) => {
        if (offset === undefined || send.state !== 'unknown') return;
        this.#found(send, offset);
        if (unsure.some(({ state }) => state === 'unknown')) return;
        clearTimeout(timer);
        this.#goOn(lane);
      });
    }
  }

  #found(send: PendingSend, offset: number): void {
    if (offset >= 0) {
      this.#ports.stored(send, offset);
      return;
    }
    send.state = 'refused';
    send.again = true;
  }

  /** Past its deadline, while its broker is there and is asked: a bounded time. */
  #mayWait({ deadlineMs, target }: PendingSend): boolean {
    const { clock, settings } = this.#ports.options;
    const { broker } = target!.queue;
    const moreMs = settings.appendWaitMs + broker.sendQueueWaitMs + askedMs;
    return broker.answers && clock.monotonicMs() < deadlineMs + moreMs;
  }

  /** Their publisher has waited long enough; the intents stay for whoever asks for the outcomes. */
  #giveUp(unsure: readonly PendingSend[]): void {
    const { failures } = this.#ports;
    for (const send of unsure)
      if (send.state === 'unknown') failures.giveUp(send, 'outcome unknown', 'the broker is away');
  }

  #goOn(lane: SendLane): void {
    lane.held = false;
    this.settle(lane);
    this.#ports.pump(lane);
  }
}
