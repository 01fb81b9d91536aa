// Connections with a will of their own number, which end without DISCONNECT.
import type { WillFields } from '../harness/packets.ts';
import type { Ledger } from './ledger.ts';
import { type LedgerConnection, openLedgerConnection } from './ledger-connection.ts';
import type { Random } from './random.ts';

export interface LedgerWill {
  readonly fields: WillFields;
  /** CONNACK came. */
  owe(): void;
}

export class LedgerWills {
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #open = new Set<LedgerConnection>();
  /** CONNACK came, so that the will is owed. */
  readonly owed: Set<number> = new Set();
  /** How often each came. */
  readonly came: Map<number, number> = new Map();
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
      owe: () => this.owed.add(number),
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
    will.owe();
    this.#open.add(connection);
    if (this.#random.chance(0.5)) {
      setTimeout(() => connection.destroy(), this.#random.below(300)).unref();
    }
  }

  arrived(payload: string): void {
    const number = Number(payload);
    this.came.set(number, (this.came.get(number) ?? 0) + 1);
  }

  leave(): void {
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  get missing(): number {
    return [...this.owed].filter((number) => !this.came.has(number)).length;
  }

  /** Into the ledger's problems. */
  settle(): void {
    for (const number of this.owed) {
      if (!this.came.has(number)) this.#ledger.problems.push(`will ${number} did not come`);
    }
    for (const [number, times] of this.came) {
      if (times > 1) this.#ledger.problems.push(`will ${number} came ${times} times`);
      if (number > this.#last) this.#ledger.problems.push(`will ${number} was never made`);
    }
  }
}
