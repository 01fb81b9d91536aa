// Connections with a will of their own number, which end without DISCONNECT.
import type { WillFields } from '../harness/packets.ts';
import type { Ledger } from './ledger.ts';
import { type LedgerConnection, openLedgerConnection } from './ledger-connection.ts';
import type { Random } from './random.ts';

export interface LedgerWill {
  readonly fields: WillFields;
  /** CONNACK came: it is owed when the connection has ended. */
  owe(connection: LedgerConnection): void;
}

export class LedgerWills {
  readonly #ledger: Ledger;
  readonly #random: Random;
  /** Connections of clients that are nothing but a will, with its number. */
  readonly #open = new Map<LedgerConnection, number>();
  /** By number: CONNACK came on this connection. */
  readonly #owed = new Map<number, LedgerConnection>();
  /** How often each came. */
  readonly came: Map<number, number> = new Map();
  /** How many were owed and have been accounted for. */
  settled = 0;
  wrong = 0;
  #last = 0;

  constructor(ledger: Ledger, random: Random) {
    this.#ledger = ledger;
    this.#random = random;
  }

  /** For one connection. */
  make(): LedgerWill {
    const number = (this.#last += 1);
    return {
      fields: { topic: `wills/${number}`, payload: String(number), qos: 2 },
      owe: (connection) => this.#owed.set(number, connection),
    };
  }

  /** One more client; it goes after a while, or stays until `leave`. */
  async add(port: number, connectMs?: number): Promise<void> {
    const will = this.make();
    const number = this.#last;
    const version = number % 2 === 0 ? 5 : 4;
    const { connection } = await openLedgerConnection(
      port,
      { clientId: `will-${number}`, version, clean: number % 3 !== 0, will: will.fields },
      () => {},
      connectMs,
    );
    will.owe(connection);
    this.#open.set(connection, number);
    if (this.#random.chance(0.5)) {
      setTimeout(() => connection.destroy(), this.#random.below(300)).unref();
    }
  }

  arrived(payload: string): void {
    const number = Number(payload);
    this.came.set(number, (this.came.get(number) ?? 0) + 1);
  }

  leave(): void {
    for (const connection of this.#open.keys()) connection.destroy();
    this.#open.clear();
  }

  /** Connections that are open, and whose wills have come all the same. */
  get early(): number[] {
    return [...this.#owed]
      .filter(([number, connection]) => !connection.closed && this.came.has(number))
      .map(([number]) => number);
  }

  /** Their connections have ended. */
  #due(): number[] {
    return [...this.#owed].filter(([, { closed }]) => closed).map(([number]) => number);
  }

  get missing(): number {
    return this.#due().filter((number) => !this.came.has(number)).length;
  }

  /** Into the ledger's problems; of those that came one may still come again. */
  settle(): void {
    const due = this.#due();
    for (const number of due) {
      if (!this.came.has(number)) this.#wrong(`will ${number} did not come`);
    }
    for (const [number, times] of this.came) {
      if (times > 1) this.#wrong(`will ${number} came ${times} times`);
      if (number > this.#last) this.#wrong(`will ${number} was never made`);
      if (number > this.#last) this.came.delete(number);
      else this.came.set(number, 1);
    }
    this.settled += due.length;
    for (const number of due) this.#owed.delete(number);
  }

  #wrong(problem: string): void {
    this.wrong += 1;
    this.#ledger.problems.push(problem);
  }
}
