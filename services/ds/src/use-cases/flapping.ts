import { createHash } from 'node:crypto';
import type { ClientId } from '@lmqtt/common/ids';

interface FlappingOptions {
  /** 0: clients may connect as often as they like. */
  readonly connectsMax: number;
  readonly windowMs: number;
  /** Clients that are counted at once; past it the one that is counted for the longest is left out. */
  readonly clientsMax: number;
}

interface Count {
  readonly fromMs: number;
  connects: number;
}

/**
 * How often clients have connected. A window begins with a connection and lasts for `windowMs`; the
 * first connection behind it begins the next. A client's CONNECTs come to the same ds, so each ds
 * counts for itself.
 */
export class Flapping {
  readonly #options: FlappingOptions;
  /** In the order of the beginnings of windows. */
  readonly #counts = new Map<string, Count>();

  constructor(options: FlappingOptions) {
    this.#options = options;
  }

  get clients(): number {
    return this.#counts.size;
  }

  /** Counts a connection. True: it is one more than the client may make in a window. */
  note(id: ClientId, nowMs: number): boolean {
    const { connectsMax, windowMs, clientsMax } = this.#options;
    if (connectsMax === 0 || id.length > idLengthMax) return false;
    for (const [client, { fromMs }] of this.#counts) {
      if (nowMs - fromMs < windowMs && this.#counts.size < clientsMax) break;
      this.#counts.delete(client);
    }
    const key = keyOf(id);
    const count = this.#counts.get(key);
    if (count === undefined) {
      this.#counts.set(key, { fromMs: nowMs, connects: 1 });
      return false;
    }
    count.connects += 1;
    if (count.connects <= connectsMax) return false;
    // The next window begins with its next connection, after the ban.
    this.#counts.delete(key);
    return true;
  }
}

const keyLengthMax = 64;
/** A ban has its identifier whole: those of longer ones would take much memory. */
const idLengthMax = 1024;

/** Client identifiers may be long: those take no more memory than others. */
function keyOf(id: ClientId): string {
  return id.length <= keyLengthMax ? id : createHash('sha256').update(id).digest('base64');
}
