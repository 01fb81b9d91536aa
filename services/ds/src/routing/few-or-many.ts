const fewMax = 16;

/**
 * A set that costs next to nothing while it is small, and finds in constant time when it is not.
 */
export class FewOrMany<T> {
  #items: T[] | Set<T> | undefined = undefined;

  get size(): number {
    const items = this.#items;
    if (items === undefined) return 0;
    return Array.isArray(items) ? items.length : items.size;
  }

  add(item: T): void {
    const items = this.#items;
    if (items === undefined) this.#items = [item];
    else if (!Array.isArray(items)) items.add(item);
    else if (!items.includes(item)) {
      if (items.length === fewMax) this.#items = new Set([...items, item]);
      else items.push(item);
    }
  }

  delete(item: T): void {
    const items = this.#items;
    if (items === undefined) return;
    if (!Array.isArray(items)) {
      items.delete(item);
      return;
    }
    const at = items.indexOf(item);
    if (at !== -1) items.splice(at, 1);
  }

  [Symbol.iterator](): Iterator<T> {
    return (this.#items ?? []).values();
  }
}
