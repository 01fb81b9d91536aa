import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type { Publish } from '@lmqtt/proto/link';
import type { Exchange } from '@lmqtt/proto/wire/exchange';
import { writeCall } from '@lmqtt/proto/wire/upstream';

/** Number of sessions past which those whose publishes have left are forgotten. */
const rememberedMax = 10_000;

/** The session and client that a call concerns. Whatever waits of the two leaves before it. */
export interface CallSubject {
  readonly session: SessionHandle | undefined;
  /** The client whose connection begins or ends with the call. */
  readonly clientId: ClientId | undefined;
  /** Whether the call leaves after everything that waits. */
  readonly last: boolean;
}

interface OrderedCall extends CallSubject {
  readonly id: number;
  readonly method: number;
  readonly body: Buffer;
}

/**
 * The order of calls and publishes. A call may leave before publishes that wait, unless its client
 * has one among them: a client's calls leave after its publishes, and its CONNECT after its last
 * DISCONNECT.
 */
export class PublishOrder {
  readonly #exchange: Exchange;
  /** The mark in bulk of each session's last publish. */
  readonly #sessions: Map<SessionHandle, number> = new Map();
  /** Clients whose last connection ends behind its publishes. */
  readonly #clients: Map<ClientId, number> = new Map();

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** The batch has been written. */
  published(batch: readonly Publish[]): void {
    const sessions = this.#sessions;
    const mark = this.#exchange.bulkMark;
    let last: SessionHandle | undefined;
    for (let index = 0; index < batch.length; index++) {
      const { session } = batch[index]!;
      if (session === last) continue;
      last = session;
      sessions.set(session, mark);
    }
  }

  /** Writes the call where it may be. */
  call({ id, method, body, session, clientId, last }: OrderedCall): void {
    const exchange = this.#exchange;
    const sessions = this.#sessions;
    const clients = this.#clients;
    const waits =
      last ||
      (session !== undefined && this.#waits(sessions.get(session))) ||
      (clientId !== undefined && this.#waits(clients.get(clientId)));
    writeCall(exchange, waits ? 'bulk' : 'control', id, method, body);
    if (!waits) return;
    const mark = exchange.bulkMark;
    if (session !== undefined) sessions.set(session, mark);
    if (clientId !== undefined) clients.set(clientId, mark);
  }

  #waits(mark: number | undefined): boolean {
    return mark !== undefined && !this.#exchange.hasLeft(mark);
  }

  /** The connection has ended, and ds has said so. */
  forget(session: SessionHandle): void {
    this.#sessions.delete(session);
    if (this.#clients.size <= rememberedMax) return;
    for (const [clientId, mark] of this.#clients)
      if (this.#exchange.hasLeft(mark)) this.#clients.delete(clientId);
  }
}
