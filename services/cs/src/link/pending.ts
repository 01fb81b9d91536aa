import type { SessionHandle } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { Exchange } from '@lmqtt/proto/wire/exchange';
import { writeCredit, writePublishes, writeWrites } from '@lmqtt/proto/wire/upstream';
import { PendingCalls } from './pending-calls.ts';
import { PendingPublishes } from './pending-publishes.ts';
import type { PublishBatch } from './pending-publishes.ts';
import { PendingReads } from './pending-reads.ts';
import { PendingWrites } from './pending-writes.ts';
import type { HeldWrites } from './pending-writes.ts';
import type { PublishOrder } from './publish-order.ts';

/** All that was handed to the link and is not answered: what another ds has to be told again. */
export class Pending {
  readonly publishes: PendingPublishes = new PendingPublishes();
  readonly calls: PendingCalls = new PendingCalls();
  readonly reads: PendingReads = new PendingReads();
  readonly writes: PendingWrites = new PendingWrites();
  readonly #credits: Map<SessionHandle, number> = new Map();
  #lastTicket = 0;
  #lastId = 0;

  /** Grows with each call on the link, of whatever kind: their order. */
  ticket(): number {
    this.#lastTicket += 1;
    return this.#lastTicket;
  }

  /** Number of a call or read; answers name it. */
  id(): number {
    this.#lastId = (this.#lastId % 0xffff_ffff) + 1;
    return this.#lastId;
  }

  holdWrites(
    batch: readonly SessionWrite[],
    durable: (() => void) | undefined,
    fenced?: () => void,
  ): void {
    this.writes.hold(this.ticket(), batch, durable, fenced);
  }

  holdCredit(session: SessionHandle, messagesTotal: number): void {
    this.#credits.set(session, messagesTotal);
  }

  /**
   * Credit counts from the moment at which a session is presented: what was said before is void.
   */
  forgetCredits(): void {
    this.#credits.clear();
  }

  /** All of it in the order of the calls; credit last, after what freed it. */
  sendAgain(exchange: Exchange, order: PublishOrder): void {
    const waiting: { readonly ticket: number; send(): void }[] = [];
    for (const batch of this.publishes.unanswered())
      waiting.push({ ticket: batch.ticket, send: () => sendPublishes(exchange, order, batch) });
    for (const held of this.writes.takeHeld())
      waiting.push({ ticket: held.ticket, send: () => sendWrites(exchange, held) });
    for (const call of this.calls.unanswered())
      waiting.push({ ticket: call.ticket, send: () => order.call(call) });
    waiting.sort((one, other) => one.ticket - other.ticket);
    for (const each of waiting) each.send();
    for (const [session, messagesTotal] of this.#credits)
      writeCredit(exchange, session, messagesTotal);
    this.#credits.clear();
  }
}

function sendPublishes(
  exchange: Exchange,
  order: PublishOrder,
  { first, publishes }: PublishBatch,
): void {
  for (let at = 0; at < publishes.length; at++) {
    const run = [];
    const start = at;
    for (let each = publishes[at]; each !== undefined; each = publishes[++at]) run.push(each);
    if (run.length === 0) continue;
    writePublishes(exchange, first + start, run);
    order.published(run);
  }
}

function sendWrites(exchange: Exchange, { number, batch }: HeldWrites): void {
  writeWrites(exchange, number, batch);
}
