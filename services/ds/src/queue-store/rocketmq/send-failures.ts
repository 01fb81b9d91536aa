// How a send fails: what its publisher is told, what becomes of its intent, and which of those that
// wait behind it fail with it.
import type { AppendFailure, RocketmqStoreEvents } from './events.ts';
import type { Intending } from './intending.ts';
import type { PendingSend } from './lane.ts';
import { noAnswer } from './refusal.ts';

export class SendFailures {
  readonly #events: RocketmqStoreEvents;
  readonly #intending: Intending;

  constructor(events: RocketmqStoreEvents, intending: Intending) {
    this.#events = events;
    this.#intending = intending;
  }

  fail(send: PendingSend, reasonCode: number, why: AppendFailure, detail: string): void {
    const { append, state } = send;
    send.state = state === 'intending' ? 'failed, intending' : 'failed';
    append.reasonCode = reasonCode;
    append.final = why === 'not storable' || why === 'broker refuses';
    const isIntended =
      append.inbound !== undefined &&
      (state === 'waiting' || state === 'sent' || state === 'refused');
    // The intent of a message that may be stored stays, for whoever asks for the outcome.
    if (isIntended && why !== 'outcome unknown' && why !== 'taken over') this.#intending.drop(send);
    if (append.message.qos === 0) this.#events.qos0Dropped();
    else this.#events.appendFailed(why, append.message.topic, detail);
  }

  /**
   * The message has waited long enough for its broker. Those that wait behind it fail, too: its
   * publisher may send it again, and they would be before it.
   */
  giveUp(send: PendingSend, why: AppendFailure, reason: string): void {
    const { lane } = send;
    this.fail(send, send.lastReasonCode, why, reason);
    for (const later of lane.sends.slice(lane.begun)) {
      if (!later.isWaiting || later.append.message.qos === 0) continue;
      this.fail(later, noAnswer.reasonCode, 'broker away', 'one before it has failed');
    }
  }
}
