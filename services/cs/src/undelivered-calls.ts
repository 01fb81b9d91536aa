import type { Link } from '@lmqtt/proto/link';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';
import type { Reporting, UndeliveredReports } from './session/undelivered-reports.ts';

/** Messages of all sessions that wait for their call or for its answer; past it they are not told. */
const waitingMax = 10_000;

interface Told {
  readonly messages: UndeliveredMessage[];
  readonly done: (() => void)[];
}

/** Messages that could not be delivered, told to ds once a turn for each session. */
export class UndeliveredCalls implements UndeliveredReports {
  readonly ofExpired: boolean;
  readonly #link: Link;
  readonly #passedOver: () => void;
  #told: Map<Reporting, Told> = new Map();
  /** Callbacks to run when an answer comes, for each session that waits for one. */
  readonly #open: Map<Reporting, Set<() => void>> = new Map();
  #waiting = 0;

  /** `passedOver`: a message is not told, since too many are. */
  constructor(link: Link, ofExpired: boolean, passedOver: () => void) {
    this.#link = link;
    this.ofExpired = ofExpired;
    this.#passedOver = passedOver;
  }

  report(session: Reporting, message: UndeliveredMessage, done?: () => void): boolean {
    if (session.closed) return false;
    if (this.#waiting >= waitingMax) {
      this.#passedOver();
      return false;
    }
    this.#waiting += 1;
    if (this.#told.size === 0) setImmediate(() => this.#call());
    let told = this.#told.get(session);
    if (told === undefined) this.#told.set(session, (told = { messages: [], done: [] }));
    told.messages.push(message);
    if (done !== undefined) {
      told.done.push(done);
      const open = this.#open.get(session);
      if (open === undefined) this.#open.set(session, new Set([done]));
      else open.add(done);
    }
    return true;
  }

  /**
   * The connection of the session ends: what it was told of leaves now, ahead of the end, and is done
   * with, so that the next connection does not get it again [MQTT-4.4.0-2].
   */
  ended(session: Reporting): void {
    const told = this.#told.get(session);
    if (told !== undefined) {
      this.#told.delete(session);
      this.#send(session, told);
    }
    const open = this.#open.get(session);
    if (open === undefined) return;
    this.#open.delete(session);
    for (const each of open) each();
  }

  #call(): void {
    const told = this.#told;
    this.#told = new Map();
    for (const [session, one] of told) this.#send(session, one);
  }

  #send(session: Reporting, { messages, done }: Told): void {
    const answered = (): void => {
      this.#waiting -= messages.length;
      const open = this.#open.get(session);
      for (const each of done) if (open?.delete(each) === true) each();
      if (open?.size === 0) this.#open.delete(session);
    };
    // Where ds does not know the session any more, nobody waits.
    this.#link.undelivered(session.handle, messages).then(answered, answered);
  }
}
