import { Fifo } from '@lmqtt/common/fifo';
import type { Outstanding } from './window.ts';

/**
 * Offsets of one cursor that hold its position or lie above it: messages in flight, in their order,
 * and offsets that were done with out of turn.
 */
export class OpenOffsets {
  #inFlight: Fifo<Outstanding> | undefined = undefined;
  #done: Set<number> | undefined;

  constructor(done?: readonly number[]) {
    this.#done = done === undefined ? undefined : new Set(done);
  }

  /** The lowest offset in flight; undefined: nothing is. */
  get first(): number | undefined {
    return this.#inFlight?.at(0)?.offset;
  }

  /** A message that holds the position until it is done. */
  push(outstanding: Outstanding): void {
    this.#inFlight ??= new Fifo();
    this.#inFlight.push(outstanding);
  }

  isDone(offset: number): boolean {
    return this.#done?.has(offset) === true;
  }

  markDone(offset: number): void {
    this.#done ??= new Set();
    this.#done.add(offset);
  }

  /**
   * The cursor has moved over the offset, to `next`. Above the position the offset stays known as
   * done, for the ds to which the session is presented.
   */
  passed(offset: number, next: number): void {
    if (this.#done !== undefined && (this.first ?? next) > offset) this.#done.delete(offset);
  }

  /** Done offsets that are not below the position; ascending. */
  doneFrom(position: number): number[] {
    const inFlight = this.#inFlight;
    const done: number[] = [];
    for (let index = 0; index < (inFlight?.length ?? 0); index++) {
      const each = inFlight?.at(index);
      if (each?.done === true) done.push(each.offset);
    }
    for (const offset of this.#done ?? []) if (offset >= position) done.push(offset);
    return done.sort((a, b) => a - b);
  }

  /** Lets go what is done at the head. True: the position moved, to `next` where nothing is left. */
  shiftDone(next: number): boolean {
    const list = this.#inFlight;
    if (list?.at(0)?.done !== true) return false;
    do list.shift();
    while (list.at(0)?.done === true);
    if (this.#done !== undefined) this.#forgetBelow(this.#done, this.first ?? next);
    return true;
  }

  #forgetBelow(done: Set<number>, position: number): void {
    for (const offset of done) if (offset < position) done.delete(offset);
  }
}
