import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Pending } from '../pending-connections.ts';
import type { ByteStream } from '../transport/transport.ts';
import type { Timed } from '../wheel.ts';
import type { Awaited, ClientNode } from './client.ts';

export interface OpeningClient {
  readonly node: ClientNode;
  readonly stream: ByteStream;
  /** Ends the connection with CONNACK, because its CONNECT has come. */
  refuse(reasonCode: number, reason: string): void;
  /** Ends the connection without an answer, because it has not asked for anything. */
  sendAway(reason: string): void;
}

/**
 * A connection before its CONNACK: the side that has to act next, and the time that it has.
 * Connections in this state have limits of their own.
 */
export class Opening implements Timed {
  dueTick = -1;
  slotIndex = 0;
  readonly #client: OpeningClient;
  readonly #pending: Pending;
  #awaits: Awaited = 'connect';
  #sinceMs = 0;
  #excused = false;

  constructor(client: OpeningClient) {
    this.#client = client;
    this.#watch();
    const { node, stream } = client;
    this.#pending = node.connections.pending.add(stream.peer.address, () => this.#crowdedOut());
  }

  /** Names the next step that is awaited, with a time limit of its own. */
  await(what: Awaited): void {
    this.#awaits = what;
    this.#excused = false;
    this.#watch();
    this.#client.node.connections.pending.setAsks(this.#pending, what === 'answer');
  }

  /** More bytes have come from the connection. */
  grew(bytes: number): void {
    this.#client.node.connections.pending.grew(this.#pending, bytes);
  }

  /** The connection has a session, or has ended. */
  end(): void {
    const { node } = this.#client;
    node.wheel.remove(this);
    node.connections.pending.remove(this.#pending);
  }

  /** No CONNECT in time [MQTT-3.1.4-1], or no answer to it. */
  due(nowMs: number): number {
    const client = this.#client;
    const awaits = this.#awaits;
    const leftMs = this.#sinceMs + this.#waitMs - nowMs;
    if (leftMs > 0) return leftMs;
    if (awaits === 'answer') {
      client.node.events.limit('CONNECT_WAIT_MS');
      if (client.node.asksDs) client.refuse(ReasonCode.serverBusy, 'not served in time');
      else client.refuse(ReasonCode.serverUnavailable, 'no dispatch node in time');
      return 0;
    }
    // Bytes that came while the process stood still are read first.
    if (!this.#excused) {
      this.#excused = true;
      return 1;
    }
    client.sendAway(`no ${awaits === 'auth' ? 'AUTH' : 'CONNECT'} in time`);
    return 0;
  }

  get #waitMs(): number {
    const { connectWaitMs, connectTimeoutMs } = this.#client.node.config;
    return this.#awaits === 'answer' ? connectWaitMs : connectTimeoutMs;
  }

  #watch(): void {
    const { wheel, time } = this.#client.node;
    this.#sinceMs = time.monotonicMs;
    wheel.add(this, this.#waitMs, this.#sinceMs);
  }

  /** Called when too many connections are before their CONNACK. */
  #crowdedOut(): void {
    const reason = 'too many connections before CONNACK';
    if (this.#awaits === 'answer') this.#client.refuse(ReasonCode.serverBusy, reason);
    else this.#client.sendAway(reason);
  }
}
