import type { ClientId, Epoch } from '@lmqtt/common/ids';

interface Inbound {
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  readonly packetId: number;
}

/**
 * QoS 2 publishes of which nobody knows yet whether they are stored: their append is not answered,
 * or it failed and the log has not recovered.
 */
export class OpenInbound {
  /** By identifier, the number of appends. */
  readonly #counts = new Map<string, number>();
  #failed: string[] = [];

  begin(inbound: Inbound): void {
    this.#add(keyOf(inbound), 1);
  }

  /** The append was answered. */
  end(inbound: Inbound): void {
    this.#add(keyOf(inbound), -1);
  }

  /** The append failed; after a crash the message might be found all the same. */
  fail(inbound: Inbound): void {
    this.#failed.push(keyOf(inbound));
  }

  /** The log has recovered: appends that failed are void for good from now on. */
  recovered(): void {
    for (const key of this.#failed) this.#add(key, -1);
    this.#failed = [];
  }

  has(inbound: Inbound): boolean {
    return this.#counts.has(keyOf(inbound));
  }

  #add(key: string, change: 1 | -1): void {
    const count = (this.#counts.get(key) ?? 0) + change;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}

function keyOf(id: Inbound): string {
  return `${id.packetId} ${id.epoch} ${id.clientId}`;
}
