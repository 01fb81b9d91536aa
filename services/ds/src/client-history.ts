// The last events of each client, for the question why a device did not get a message. Bounded in
// all: the clients that were heard of longest ago are forgotten.
import { systemClock } from '@lmqtt/common/clock';

export interface ClientEvent {
  /** Wall clock. */
  readonly atMs: number;
  readonly event: string;
  /** Details of the event; '': none. */
  readonly detail: string;
}

const eventsMax = 32;
const detailMax = 256;

export class ClientHistory {
  /** In the order in which clients were heard of last. */
  readonly #byClient = new Map<string, ClientEvent[]>();
  readonly #clientsMax: number;

  constructor(clientsMax: number) {
    this.#clientsMax = clientsMax;
  }

  get clients(): number {
    return this.#byClient.size;
  }

  note(clientId: string, event: string, detail = ''): void {
    if (this.#clientsMax === 0) return;
    const known = this.#byClient.get(clientId);
    const events = known ?? [];
    if (known !== undefined) this.#byClient.delete(clientId);
    else if (this.#byClient.size >= this.#clientsMax)
      for (const oldest of this.#byClient.keys()) {
        this.#byClient.delete(oldest);
        break;
      }
    this.#byClient.set(clientId, events);
    if (events.length >= eventsMax) events.shift();
    const shown = detail.length <= detailMax ? detail : `${detail.slice(0, detailMax)}…`;
    events.push({ atMs: systemClock.nowMs(), event, detail: shown });
  }

  /** The oldest first. */
  of(clientId: string): readonly ClientEvent[] {
    return this.#byClient.get(clientId) ?? [];
  }
}

/** Events of several ds in the order of their times, the last ones. */
export function mergedEvents(all: readonly (readonly ClientEvent[])[]): ClientEvent[] {
  return all
    .flat()
    .sort((one, other) => one.atMs - other.atMs)
    .slice(-eventsMax);
}
