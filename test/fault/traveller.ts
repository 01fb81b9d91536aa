// A client of the ledger that lives with many nodes: whenever its connection ends it comes to one
// of them again, and sometimes it comes to another while the connection that it had is still open.
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerConnection } from './ledger-connection.ts';
import type { LedgerParty } from './ledger-seat.ts';

const retryMs = 30;

export interface Journey {
  /** Port to try next. */
  port(): number;
  /** How long to wait for a CONNACK there. */
  readonly connectMs: number;
}

export class Traveller {
  readonly name: string;
  readonly party: LedgerParty;
  readonly #journey: Journey;
  #isStopped = false;
  /** It ended this one itself. */
  #left: LedgerConnection | undefined;
  #travels: Promise<void> = Promise.resolve();
  /** Connections that the other side ended. */
  drops = 0;
  /** Why it could not come, the last time. */
  trouble = '';

  constructor(name: string, party: LedgerParty, journey: Journey) {
    this.name = name;
    this.party = party;
    this.#journey = journey;
  }

  get isConnected(): boolean {
    return this.party.seat.isConnected;
  }

  /** Resolves when it is there for the first time. */
  async start(port: number): Promise<void> {
    await this.party.come(port);
    this.#travels = this.#travel();
  }

  async #travel(): Promise<void> {
    const { seat } = this.party;
    while (!this.#isStopped) {
      const { connection } = seat;
      if (connection !== undefined && !connection.closed) {
        await connection.ended;
        if (connection !== this.#left) this.drops += 1;
        continue;
      }
      try {
        await this.party.come(this.#journey.port(), this.#journey.connectMs);
      } catch (error) {
        this.trouble = String(error);
        await delay(retryMs);
      }
    }
    seat.leave();
  }

  /** To a node, while the connection is open; without one it is on its way anyhow. */
  move(): void {
    this.#left = this.party.seat.connection;
    this.party.seat.abandon();
  }

  /** Cuts its connection and comes again. */
  crash(): void {
    this.#left = this.party.seat.connection;
    this.party.seat.leave();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.crash();
    await this.#travels;
  }
}
