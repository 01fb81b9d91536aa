/**
 * A queue in which groups take turns: whoever brings many waits behind his own, not others behind
 * him. Within a group the order is that of arrival.
 */
export class FairQueue<T> {
  /** The group whose turn is next comes first. */
  readonly #lines = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(group: string): number {
    return this.#lines.get(group)?.length ?? 0;
  }

  add(group: string, item: T): void {
    const line = this.#lines.get(group);
    if (line === undefined) this.#lines.set(group, [item]);
    else line.push(item);
    this.#size += 1;
  }

  /** The next waiter; undefined: nobody waits. `may` passes over groups whose turn it is not. */
  take(may: (group: string) => boolean = always): T | undefined {
    for (const [group, line] of this.#lines) {
      if (!may(group)) continue;
      const item = line.shift()!;
      this.#lines.delete(group);
      if (line.length > 0) this.#lines.set(group, line);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** The group with the most; undefined: nobody waits. */
  get largest(): string | undefined {
    let largest: string | undefined;
    let most = 0;
    for (const [group, { length }] of this.#lines) {
      if (length <= most) continue;
      most = length;
      largest = group;
    }
    return largest;
  }

  /** The last waiter that came of the group. */
  takeNewest(group: string): T | undefined {
    const line = this.#lines.get(group);
    const item = line?.pop();
    if (item === undefined) return undefined;
    if (line!.length === 0) this.#lines.delete(group);
    this.#size -= 1;
    return item;
  }

  /** Keeps those that `stays` says; the others are the answer. */
  filter(stays: (item: T) => boolean): T[] {
    const gone: T[] = [];
    for (const [group, line] of this.#lines) {
      const kept = line.filter((item) => stays(item) || gone.push(item) === 0);
      if (kept.length === 0) this.#lines.delete(group);
      else if (kept.length < line.length) this.#lines.set(group, kept);
    }
    this.#size -= gone.length;
    return gone;
  }

  remove(group: string, item: T): boolean {
    const line = this.#lines.get(group);
    const index = line?.indexOf(item) ?? -1;
    if (index < 0) return false;
    line!.splice(index, 1);
    if (line!.length === 0) this.#lines.delete(group);
    this.#size -= 1;
    return true;
  }
}

function always(): boolean {
  return true;
}
