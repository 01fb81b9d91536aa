import type { Publish } from '@lmqtt/proto/link';
import type { Client } from './connection/client.ts';

/** Maximum bytes that one read of a socket brings. */
const readBytes = 64 << 10;

/**
 * Publishes that wait for the store, in bytes, and the publishers that are not read meanwhile:
 * where too many bytes wait, or more than the link to ds takes soon.
 */
export class StoreBacklog {
  readonly #bytesMax: number;
  /** Bytes that the link takes soon: its last answer, less the bytes that were added since. */
  #linkLeft = Infinity;
  #bytes = 0;
  readonly #heldBack: Set<Client> = new Set();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether so much waits that publishers are not read. */
  get behind(): boolean {
    if (this.#heldBack.size === 0) return false;
    return this.#linkLeft < 0 || this.#bytes * 2 > this.#bytesMax;
  }

  /**
   * Publishes that were added so far have been handed over. `linkBytes` undefined: no link that
   * could be slow.
   */
  handedOver(linkBytes: number | undefined): void {
    this.#linkLeft = linkBytes ?? Infinity;
  }

  /** False: too many bytes wait. The client may be held back either way. */
  add(client: Client, { message }: Publish): boolean {
    if (message.qos === 0) return true;
    const { heldBytes } = message;
    this.#bytes += heldBytes;
    this.#linkLeft -= heldBytes;
    const fits = this.#bytes <= this.#bytesMax;
    if (fits && this.#linkLeft >= 0) return true;
    this.#heldBack.add(client);
    client.pauseReading();
    return fits;
  }

  /** A client that is not read is read again when there is room. */
  holdBack(client: Client): void {
    this.#heldBack.add(client);
  }

  answered({ message }: Publish): void {
    if (message.qos > 0) this.#bytes -= message.heldBytes;
  }

  get holds(): boolean {
    return this.#heldBack.size > 0;
  }

  /**
   * Called after answers: publishers that were held back are read again where enough has left, in
   * turn, as far as the link takes their bytes.
   */
  letGo(): void {
    if (this.#heldBack.size === 0 || this.behind) return;
    let left = this.#linkLeft;
    const held: Client[] = [];
    for (const client of this.#heldBack) {
      if (left < 0) break;
      left -= readBytes;
      held.push(client);
    }
    for (const client of held) this.#heldBack.delete(client);
    for (const client of held) {
      // The rest of a client's last chunk may be too much again.
      if (this.behind || this.#linkLeft < 0) this.#heldBack.add(client);
      else client.resumeReading();
    }
  }

  forget(client: Client): void {
    this.#heldBack.delete(client);
  }
}
