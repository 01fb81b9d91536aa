import { randomBytes } from 'node:crypto';

/** Messages that share all but the low digits of their number. */
const lowCount = 0x1_0000;
const highCount = 0x100_0000;

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

/**
 * Keys of messages (property UNIQ_KEY): 32 upper case hexadecimal digits, the time where RocketMQ's
 * own clients have it, since its tools search from there on.
 *
 *     14 of this process | 6 of the number | 8 ms since the month began (UTC) | 4 of the number
 *
 * A key comes again after 2^40 messages at the soonest, and then only in the same millisecond of a
 * month.
 */
export class UniqueKeys {
  readonly #process = randomBytes(7).toString('hex').toUpperCase();
  #high = 0;
  #low = 0;
  #head: string;
  #timeMs = -1;
  #timeText = '';
  #monthStartMs = 0;
  #monthEndMs = 0;

  constructor() {
    this.#head = this.#process + hex(0, 6);
  }

  next(nowMs: number): string {
    if (nowMs !== this.#timeMs) this.#setTime(nowMs);
    if (this.#low === lowCount) {
      this.#low = 0;
      this.#high = (this.#high + 1) % highCount;
      this.#head = this.#process + hex(this.#high, 6);
    }
    const low = hex(this.#low, 4);
    this.#low += 1;
    return this.#head + this.#timeText + low;
  }

  #setTime(nowMs: number): void {
    this.#timeMs = nowMs;
    if (nowMs < this.#monthStartMs || nowMs >= this.#monthEndMs) {
      const now = new Date(nowMs);
      this.#monthStartMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth());
      this.#monthEndMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1);
    }
    this.#timeText = hex(nowMs - this.#monthStartMs, 8);
  }
}
