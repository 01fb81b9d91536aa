import { isWildcardFilter, parseSharedFilter, wildcardPlaces } from '@lmqtt/common/topic';

/**
 * How many filters of a session one topic can match at most, in kinds: of two filters of one kind
 * no topic matches both. A filter that is not shared has its kind by where its wildcards are, and a
 * shared one by its group besides. Groups on one filter without wildcards are counted for that
 * filter, since another one of them is matched by another topic.
 */
interface FilterKinds {
  /**
   * Whether the session may have one more, where a topic may match `max` of those not shared, and
   * as many shared.
   */
  admits(filter: string, max: number): boolean;
}

/** Kinds of filters that come and go. `filter` is as the client sent it. */
export class CountedKinds implements FilterKinds {
  readonly #plain = new Map<string, number>();
  readonly #shared = new Map<string, number>();
  /** Number of groups by the filter that they share, without wildcards. */
  readonly #groups = new Map<string, number>();

  admits(filter: string, max: number): boolean {
    const [kinds, kind] = this.#kindOf(filter);
    const isExact = kinds === this.#groups;
    if (isExact) return this.#shared.size + (kinds.get(kind) ?? 0) < max;
    return kinds.has(kind) || kinds.size < max;
  }

  add(filter: string): void {
    const [kinds, kind] = this.#kindOf(filter);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }

  remove(filter: string): void {
    const [kinds, kind] = this.#kindOf(filter);
    const left = (kinds.get(kind) ?? 0) - 1;
    if (left > 0) kinds.set(kind, left);
    else kinds.delete(kind);
  }

  copy(): CountedKinds {
    const copy = new CountedKinds();
    for (const [kind, count] of this.#plain) copy.#plain.set(kind, count);
    for (const [kind, count] of this.#shared) copy.#shared.set(kind, count);
    for (const [kind, count] of this.#groups) copy.#groups.set(kind, count);
    return copy;
  }

  #kindOf(filter: string): [kinds: Map<string, number>, kind: string] {
    const shared = parseSharedFilter(filter);
    if (shared === undefined || shared === 'malformed')
      return [this.#plain, wildcardPlaces(filter)];
    if (!isWildcardFilter(shared.filter)) return [this.#groups, shared.filter];
    return [this.#shared, `${shared.group}/${wildcardPlaces(shared.filter)}`];
  }
}
