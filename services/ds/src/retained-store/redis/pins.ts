import { systemClock } from '@lmqtt/common/clock';
import type { OrderKey } from '@lmqtt/common/message';
import type { RedisConnection } from '../../redis/connection.ts';
import { loadScript } from '../../redis/script.ts';
import { encodeOrderKey, versionField } from './record.ts';
import { pinnedKeptMs, replacedKeptMs, type RetainedKeys } from './keys.ts';

interface Pin {
  readonly field: Buffer;
  count: number;
  readonly sinceMs: number;
  /** Redis counts this node among those that hold it. */
  isTold: boolean;
}

const script = loadScript(import.meta.dirname, 'pin');
/** Most are let go before: a version outlives its replacement by a minute anyway. */
const toldAfterMs = 1000;
const toldAtOnce = 1000;

/**
 * Versions that sessions of this node have in flight. Redis is told of those only that stay: most
 * are acknowledged within a round trip. What a node that died had told stays for days, so that a
 * session that comes back elsewhere finds the version that it had in flight.
 */
export class RetainedPins {
  readonly #connection: RedisConnection;
  readonly #keys: RetainedKeys;
  readonly #pins = new Map<string, Pin>();
  /** In the order in which they were pinned; may have been let go since. */
  #fresh: [name: string, pin: Pin][] = [];
  #released: Buffer[] = [];
  #telling = false;

  constructor(connection: RedisConnection, keys: RetainedKeys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  pin(topic: string, orderKey: OrderKey): void {
    const name = nameOf(topic, orderKey);
    const known = this.#pins.get(name);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    const field = versionField(topic, orderKey);
    const pin = { field, count: 1, sinceMs: systemClock.monotonicMs(), isTold: false };
    this.#pins.set(name, pin);
    this.#fresh.push([name, pin]);
  }

  unpin(topic: string, orderKey: OrderKey): void {
    const name = nameOf(topic, orderKey);
    const pin = this.#pins.get(name);
    if (pin === undefined) return;
    pin.count -= 1;
    if (pin.count > 0) return;
    this.#pins.delete(name);
    if (pin.isTold) this.#released.push(pin.field);
  }

  /** From a timer. What could not be told is told the next time. */
  async tell(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    try {
      const overMs = systemClock.monotonicMs() - toldAfterMs;
      const due: Pin[] = [];
      let looked = 0;
      for (const [name, pin] of this.#fresh) {
        if (pin.sinceMs > overMs || due.length >= toldAtOnce) break;
        looked += 1;
        if (this.#pins.get(name) === pin) due.push(pin);
      }
      const released = this.#released.slice(0, toldAtOnce);
      if (due.length > 0 || released.length > 0) await this.#send(due, released);
      this.#fresh = this.#fresh.slice(looked);
      this.#released = this.#released.slice(released.length);
    } finally {
      this.#telling = false;
    }
  }

  async #send(due: readonly Pin[], released: readonly Buffer[]): Promise<void> {
    const { replaced, kept, pins, pinned } = this.#keys;
    const args: (Buffer | number)[] = [replacedKeptMs, pinnedKeptMs];
    for (const pin of due) args.push(1, pin.field);
    for (const field of released) args.push(-1, field);
    // One that is let go meanwhile is taken back with the next.
    for (const pin of due) pin.isTold = true;
    try {
      await this.#connection.callDurable(script, [replaced, kept, pins, pinned], args);
    } catch (error) {
      // Told again with the next; what was let go meanwhile is not.
      for (const pin of due) pin.isTold = false;
      const fields = new Set(due.map(({ field }) => field));
      this.#released = this.#released.filter((field) => !fields.has(field));
      throw error;
    }
  }
}

function nameOf(topic: string, orderKey: OrderKey): string {
  return `${encodeOrderKey(orderKey).toString('latin1')}${topic}`;
}
