import type { Publish } from '@lmqtt/proto/link';
import type { Client } from './connection/client.ts';

/** Publishes that wait for the store, in bytes, and the publishers that are not read meanwhile. */
export class StoreBacklog {
  private readonly bytesMax: number;
  private bytes = 0;
  private readonly heldBack: Set<Client> = new Set();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** So much waits that publishers are not read. */
  get behind(): boolean {
    return this.heldBack.size > 0 && this.bytes * 2 > this.bytesMax;
  }

  /** False: too much waits, and the client is held back. */
  add(client: Client, { message }: Publish): boolean {
    if (message.qos === 0) return true;
    this.bytes += message.heldBytes;
    if (this.bytes <= this.bytesMax) return true;
    this.heldBack.add(client);
    client.pauseReading();
    return false;
  }

  answered({ message }: Publish): void {
    if (message.qos > 0) this.bytes -= message.heldBytes;
  }

  /** After answers: whoever was held back is read again where enough has left. */
  letGo(): void {
    if (this.heldBack.size === 0 || this.behind) return;
    const held = [...this.heldBack];
    this.heldBack.clear();
    for (const client of held) {
      // What one of them had left of its last chunk may be too much again.
      if (this.behind) this.heldBack.add(client);
      else client.resumeReading();
    }
  }

  forget(client: Client): void {
    this.heldBack.delete(client);
  }
}
