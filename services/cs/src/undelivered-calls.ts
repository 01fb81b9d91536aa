import type { Link, UndeliveredMessage } from '@lmqtt/proto/link';
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
    if (done !== undefined) told.done.push(done);
    return true;
  }

  #call(): void {
    const told = this.#told;
    this.#told = new Map();
    for (const [session, { messages, done }] of told) {
      const answered = (): void => {
        this.#waiting -= messages.length;
        for (const each of done) each();
      };
      // Where ds does not know the session any more, nobody waits.
      this.#link.undelivered(session.handle, messages).then(answered, answered);
    }
  }
}
