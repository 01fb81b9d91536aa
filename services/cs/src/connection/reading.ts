import type { PacketReader } from '../codec/packet-reader.ts';
import type { Client, ClientNode } from './client.ts';
import { PacketDispatch } from './dispatch.ts';
import { OutputWatch } from './output-watch.ts';

/** Bytes that may wait while no packet is handled; what is not read cannot be seen to end. */
const waitingBytesMax = 64 << 10;

/** The connection whose socket is read. */
interface ReadClient extends Client {
  readonly node: ClientNode;
  readonly outbox: Client['outbox'] & {
    readonly crowded: boolean;
    readonly roomy: boolean;
    readonly takenBytes: number;
  };
  readonly readingPaused: boolean;
  stalled(): void;
}

/**
 * Bytes of one client on their way to the handlers of its packets: whether its socket is read, and
 * whether packets that have been read are handled.
 */
export class Reading {
  /** The socket is not read, and no packet is handled. */
  paused = false;
  /** Monotonic: the last time at which bytes came, or were about to be read. */
  lastPacketMs: number;
  readonly #client: ReadClient;
  readonly #reader: PacketReader;
  readonly #packets: PacketDispatch;
  #packetsStopped = false;
  #outputWatch: OutputWatch | undefined = undefined;

  constructor(client: ReadClient, reader: PacketReader) {
    this.#client = client;
    this.#reader = reader;
    this.#packets = new PacketDispatch(client);
    this.lastPacketMs = client.node.time.monotonicMs;
  }

  received(chunk: Buffer): void {
    this.lastPacketMs = this.#client.node.time.monotonicMs;
    this.#packets.came();
    this.#reader.feed(chunk, this.#packets);
    this.#holdWaiting();
    this.#holdCrowded();
  }

  /** While no packet is handled, only a few bytes more are read. */
  #holdWaiting(): void {
    if (this.#reader.stopped && this.#reader.waitingBytes > waitingBytesMax) this.pause();
  }

  /** A client that does not take what it is owed is not read. */
  #holdCrowded(): void {
    const client = this.#client;
    if (this.paused || client.ended || !client.outbox.crowded) return;
    this.pause();
    this.#watchOutput();
  }

  #watchOutput(): void {
    const client = this.#client;
    this.#outputWatch ??= new OutputWatch(client);
    if (this.#outputWatch.begin()) client.node.events.limit('WRITE_BUFFER_MAX');
  }

  /**
   * Too much of this client is on its way, or it takes too little: its socket is not read, and of
   * what was read already no further packet is handled.
   */
  pause(): void {
    if (this.paused || this.#client.ended) return;
    this.paused = true;
    this.#reader.stop();
    this.#client.stream.pause();
  }

  /** Reads on, where nothing else holds the client up. */
  resume(): void {
    if (!this.paused || this.#packetsStopped) return;
    const { node, inbound, outbox, stream, ended, publishRate } = this.#client;
    if (ended || publishRate?.held === true) return;
    if (node.publishes.storeBehind) {
      node.publishes.awaitRoom(this.#client);
      return;
    }
    if (this.#packets.resting || inbound.tooManyRequests || inbound.tooManyHeld) return;
    if (inbound.unanswered * 2 > node.config.receiveMaximum) return;
    if (!outbox.roomy) {
      this.#watchOutput();
      return;
    }
    this.paused = false;
    // Bytes that the client sent meanwhile are about to be read.
    this.lastPacketMs = node.time.monotonicMs;
    this.#reader.resume(this.#packets);
    this.#holdWaiting();
    this.#holdCrowded();
    // The rest of the chunk may have been too much again.
    if (!this.#isPaused) stream.resume();
  }

  get #isPaused(): boolean {
    return this.paused || this.#client.ended;
  }

  /** The connection has rested for a turn. */
  goOn(): void {
    if (this.#client.ended || this.#packetsStopped) return;
    if (this.paused) {
      this.resume();
      return;
    }
    this.#reader.resume(this.#packets);
    this.#holdCrowded();
  }

  /** The client waits for its turn to be served, or has it. */
  hold(held: boolean): void {
    if (this.#isPaused) return;
    if (held) this.#client.stream.pause();
    else this.#client.stream.resume();
  }

  /** No further packet is handled until `resumePackets`. */
  stopPackets(): void {
    this.#packetsStopped = true;
    this.#reader.stop();
  }

  resumePackets(): void {
    this.#packetsStopped = false;
    if (this.paused) this.resume();
    else this.#reader.resume(this.#packets);
  }

  /** The connection has ended. */
  end(): void {
    this.#reader.end();
    if (this.#outputWatch !== undefined) this.#client.node.wheel.remove(this.#outputWatch);
  }
}
