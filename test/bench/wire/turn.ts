// Collects whatever wants to write during one turn of the event loop and lets it write once, after
// all sockets that were ready have been read.
//
// A broker that writes each message by itself would wake the generator for each, which costs the
// generator more than the broker. So, while most of what is in flight is still with the broker, a
// turn that brought little is followed by a short sleep: the broker has work, and the next turn
// finds more at once.
import { block } from './clock.ts';

export interface Flushable {
  /** True from `flushSoon` until its `flush`. */
  waiting: boolean;
  flush(): void;
}

const lingerMs = 0.1;
const lingerBelowMax = 64;
/** Part of the messages in flight below which the broker has enough to do. */
const lingerShare = 1 / 8;

let queue: Flushable[] = [];
let spare: Flushable[] = [];
let packets = 0;
let lingerBelow = 0;

/** `inFlight`: messages that the broker has to do with when all windows are full. */
export function lingerWith(inFlight: number): void {
  lingerBelow = Math.min(lingerBelowMax, Math.floor(inFlight * lingerShare));
}

/** Counts packets that have been read in this turn. */
export function packetsRead(count: number): void {
  packets += count;
}

function flushAll(): void {
  const round = queue;
  queue = spare;
  for (const each of round) {
    each.waiting = false;
    each.flush();
  }
  round.length = 0;
  spare = round;
  if (packets < lingerBelow) block(lingerMs);
  packets = 0;
}

export function flushSoon(one: Flushable): void {
  if (one.waiting) return;
  one.waiting = true;
  if (queue.push(one) === 1) setImmediate(flushAll);
}
