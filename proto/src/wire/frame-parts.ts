import { WireError } from './wire-error.ts';

const bytesAtFirst = 1 << 20;

/** Puts the items of a frame together again, of which the parts come one by one. */
export class FrameParts {
  readonly #bytesMax: number;
  #total = 0;
  #buffer: Buffer | undefined = undefined;
  #at = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Takes the next part; `total` comes with the first. Answers all items where it was the last.
   * No more is held than four times what has come, whatever the total says, or 1 MiB.
   */
  add(part: Buffer, total: number): Buffer | undefined {
    if (this.#buffer === undefined) {
      if (total === 0) throw new WireError('a part of a frame that was not begun');
      if (total > this.#bytesMax) throw new WireError(`a frame of ${total} bytes is too large`);
      this.#total = total;
      this.#at = 0;
      this.#buffer = Buffer.allocUnsafeSlow(Math.min(total, Math.max(bytesAtFirst, part.length)));
    }
    const end = this.#at + part.length;
    if (end > this.#total) throw new WireError('parts of a frame are longer than it');
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#total, Math.max(end, 2 * this.#at)));
      this.#buffer.copy(larger, 0, 0, this.#at);
      this.#buffer = larger;
    }
    part.copy(this.#buffer, this.#at);
    this.#at = end;
    if (end < this.#total) return undefined;
    const buffer = this.#buffer;
    this.#buffer = undefined;
    return buffer;
  }

  clear(): void {
    this.#buffer = undefined;
  }
}
