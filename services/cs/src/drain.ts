import type { Clock } from '@lmqtt/common/clock';
import { idlePause, pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';

/** The reason and the other server told to a client that is sent away. */
export interface Farewell {
  readonly reasonCode: ReasonCode;
  readonly reason: string;
  /** Address of another node, `host:port`; undefined: none is known. */
  readonly serverReference: string | undefined;
}

/** A connection as far as it is sent away. */
interface Leaving {
  /** Undefined: its client has not come in yet. */
  readonly session: object | undefined;
  /** `storeMs`: how long its client does not hear of it while ds stores the end. */
  sendElsewhere(farewell: Farewell, storeMs: number): Promise<void>;
}

interface DrainPorts {
  readonly clock: Clock;
  /** Connections as of now, the oldest first. */
  readonly connections: () => readonly Leaving[];
  /** Addresses at which clients reach other nodes, asked now and then; rejects: not known now. */
  readonly others: () => Promise<readonly string[]>;
}

/** Why clients are sent away: the node drains and may take clients again, or its process ends. */
export type DrainCause = 'drains' | 'stops';

const tickMs = 20;
const idleTickMs = 250;
const askMs = 2000;
/** How long the first client waits for the addresses of other nodes. */
const firstAskMs = 500;
/** How long a client waits at most, and at the end of a stop, for its end to be stored. */
const storeMs = { most: 5000, least: 1000 } as const;

/**
 * Sending away of the clients of a node, one after another, so that they do not come to the next
 * node all at once.
 *
 * Invariants
 * - A client that comes meanwhile is refused with what the others are told.
 * - The end of a client's connection is stored before the client hears of it, while ds answers in
 *   time: a client that comes back before that takes its session over, and its will is due.
 */
export class Drain {
  readonly #ports: DrainPorts;
  #cause: DrainCause | undefined = undefined;
  #others: readonly string[] = [];
  #asked: Promise<void> = Promise.resolve();
  #askedMs = -Infinity;
  #next = 0;
  /** Another one for each run, so that the one before ends. */
  #run = 0;

  constructor(ports: DrainPorts) {
    this.#ports = ports;
  }

  get cause(): DrainCause | undefined {
    return this.#cause;
  }

  /** The reason told to the next client; undefined: the node takes clients. */
  farewell(): Farewell | undefined {
    const cause = this.#cause;
    if (cause === undefined) return undefined;
    const stops = cause === 'stops';
    const reason = stops ? 'server shutting down' : 'this node drains';
    const serverReference = this.#others[this.#next++ % this.#others.length];
    // 4.13.2: "use another server" is for a while, "server moved" for good.
    const alone = stops ? ReasonCode.serverShuttingDown : ReasonCode.serverMoved;
    const reasonCode = serverReference === undefined ? alone : ReasonCode.useAnotherServer;
    return { reasonCode, reason, serverReference };
  }

  /**
   * Sends all clients away, `ratePerS` of them each second, or as many more as it takes for all to
   * be gone within that time. Resolves when they have been told, the time is over, or the drain was
   * taken back.
   */
  async begin(cause: DrainCause, ratePerS: number, withinMs: number = Infinity): Promise<void> {
    this.#cause = cause;
    this.#run += 1;
    const run = this.#run;
    const { clock, connections } = this.#ports;
    const untilMs = clock.monotonicMs() + withinMs;
    if (connections().length === 0 && cause === 'stops') return;
    await this.#ask(Math.min(firstAskMs, withinMs / 4));
    // A stop keeps the process until it is over.
    const wait = cause === 'stops' ? pause : idlePause;
    const told = new Set<Promise<void>>();
    let pace = this.#paceFrom(ratePerS, untilMs);
    while (this.#run === run && clock.monotonicMs() < untilMs) {
      const leaving = connections().filter(({ session }) => session !== undefined);
      if (leaving.length === 0) {
        if (cause === 'stops') break;
        // Clients that were let in before the drain began may still come.
        pace = this.#paceFrom(ratePerS, untilMs);
      }
      const leftMs = Math.min(storeMs.most, untilMs - clock.monotonicMs());
      const patienceMs = Math.max(storeMs.least, leftMs);
      for (const one of leaving.slice(0, pace.due(leaving.length))) {
        const gone = one.sendElsewhere(this.farewell()!, patienceMs);
        const going = gone.finally(() => told.delete(going));
        told.add(going);
      }
      await wait(leaving.length === 0 ? idleTickMs : tickMs);
      void this.#ask(0);
    }
    await Promise.all(told);
  }

  /** The node has stopped: nobody is left to be sent away. */
  end(): void {
    this.#run += 1;
  }

  /** The node takes clients again. */
  takeBack(): void {
    this.#cause = undefined;
    this.#run += 1;
    this.#others = [];
  }

  /** Numbers of clients whose turn has come since the last call. */
  #paceFrom(ratePerS: number, untilMs: number): { due(left: number): number } {
    const { clock } = this.#ports;
    let lastMs = clock.monotonicMs();
    let owed = 1;
    return {
      due: (left) => {
        const nowMs = clock.monotonicMs();
        const leftMs = Math.max(tickMs, untilMs - nowMs - 2 * tickMs);
        const needed = (left * 1000) / leftMs;
        owed += ((nowMs - lastMs) * Math.max(ratePerS, needed)) / 1000;
        lastMs = nowMs;
        const due = Math.min(left, Math.floor(owed));
        owed = left === due ? 0 : owed - due;
        return due;
      },
    };
  }

  /** Asks for the other nodes where that was long ago, and waits for the answer for so long. */
  async #ask(waitMs: number): Promise<void> {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#askedMs >= askMs) {
      this.#askedMs = nowMs;
      this.#asked = this.#ports.others().then(
        (others) => {
          this.#others = others;
        },
        () => {},
      );
    }
    if (waitMs > 0) await Promise.race([this.#asked, idlePause(waitMs)]);
  }
}
