// Two indexes over topics. TopicTrie answers "which filters match this topic" (routing), TopicTree
// "which topics match this filter" (retained messages).
//
// TopicTrie hides that filters without a wildcard are in a plain Map and only the others in a trie,
// and that a node makes its containers when it first needs them. Invariant: every node but the root
// leads to a value.
//
// TopicTree hides that the topics are one sorted list, and that a filter is answered by skipping
// through it: in the order of code units all topics under a prefix `a/` are neighbours and end
// before `a0` (0 is the character after the slash).

import { OrderedKeys } from './ordered-keys.ts';
import { isWildcardFilter, matches } from './topic.ts';

/** Past this many values of one filter, removal by search costs more than a Set's memory. */
const listedValuesMax = 16;

type Held<T> = T[] | Set<T>;

class TrieNode<T> {
  /** The values of the filter that ends here. */
  held: Held<T> | undefined = undefined;
  /** The values of the filter that ends here with `/#`. */
  heldBelow: Held<T> | undefined = undefined;
  plus: TrieNode<T> | undefined = undefined;
  /** The only literal child, until there is a second one. */
  onlyLevel: string | undefined = undefined;
  only: TrieNode<T> | undefined = undefined;
  children: Map<string, TrieNode<T>> | undefined = undefined;

  child(level: string): TrieNode<T> | undefined {
    if (level === this.onlyLevel) return this.only;
    return this.children?.get(level);
  }

  childOrNew(level: string): TrieNode<T> {
    if (level === '+') return (this.plus ??= new TrieNode());
    const known = this.child(level);
    if (known !== undefined) return known;
    const made = new TrieNode<T>();
    if (this.children !== undefined) this.children.set(level, made);
    else if (this.only === undefined) {
      this.onlyLevel = level;
      this.only = made;
    } else {
      this.children = new Map([
        [this.onlyLevel!, this.only],
        [level, made],
      ]);
      this.onlyLevel = undefined;
      this.only = undefined;
    }
    return made;
  }

  drop(level: string): void {
    if (level === '+') this.plus = undefined;
    else if (level === this.onlyLevel) {
      this.onlyLevel = undefined;
      this.only = undefined;
    } else if (this.children?.delete(level) === true && this.children.size === 0)
      this.children = undefined;
  }

  get empty(): boolean {
    return (
      this.held === undefined &&
      this.heldBelow === undefined &&
      this.plus === undefined &&
      this.only === undefined &&
      this.children === undefined
    );
  }
}

export class TopicTrie<T> {
  readonly #exact = new Map<string, Held<T>>();
  readonly #root = new TrieNode<T>();
  #size = 0;

  /** How many pairs of filter and value there are. */
  get size(): number {
    return this.#size;
  }

  /** A valid filter, not shared. False where this very pair was there already. */
  add(filter: string, value: T): boolean {
    const added = isWildcardFilter(filter)
      ? this.#addBelow(filter, value)
      : this.#addTo(filter, value);
    if (added) this.#size += 1;
    return added;
  }

  /** False where this pair was not there. */
  remove(filter: string, value: T): boolean {
    const removed = isWildcardFilter(filter)
      ? this.#removeBelow(filter, value)
      : this.#removeFrom(filter, value);
    if (removed) this.#size -= 1;
    return removed;
  }

  /**
   * All values of all filters that match; one that is there under several of them comes once for
   * each.
   */
  match(topic: string): T[] {
    const found: T[] = [];
    collect(this.#exact.get(topic), found);
    if (!this.#root.empty) {
      // [MQTT-4.7.2-1] a leading wildcard does not match a topic that begins with $
      const reserved = topic.startsWith('$');
      walk(this.#root, topic.split('/'), 0, reserved, found);
    }
    return found;
  }

  #addTo(filter: string, value: T): boolean {
    const held = this.#exact.get(filter);
    const now = withValue(held, value);
    if (now === undefined) return false;
    if (now !== held) this.#exact.set(filter, now);
    return true;
  }

  #removeFrom(filter: string, value: T): boolean {
    const held = this.#exact.get(filter);
    if (held === undefined || !withoutValue(held, value)) return false;
    if (countOf(held) === 0) this.#exact.delete(filter);
    return true;
  }

  #addBelow(filter: string, value: T): boolean {
    let node = this.#root;
    for (const level of filter.split('/')) {
      if (level === '#') {
        const now = withValue(node.heldBelow, value);
        if (now !== undefined) node.heldBelow = now;
        return now !== undefined;
      }
      node = node.childOrNew(level);
    }
    const now = withValue(node.held, value);
    if (now !== undefined) node.held = now;
    return now !== undefined;
  }

  #removeBelow(filter: string, value: T): boolean {
    const levels = filter.split('/');
    const below = levels.at(-1) === '#';
    if (below) levels.pop();
    const path: TrieNode<T>[] = [this.#root];
    for (const level of levels) {
      const node = path.at(-1)!;
      const next = level === '+' ? node.plus : node.child(level);
      if (next === undefined) return false;
      path.push(next);
    }
    const last = path.at(-1)!;
    const held = below ? last.heldBelow : last.held;
    if (held === undefined || !withoutValue(held, value)) return false;
    if (countOf(held) === 0) {
      if (below) last.heldBelow = undefined;
      else last.held = undefined;
    }
    for (let depth = levels.length; depth > 0 && path[depth]!.empty; depth -= 1)
      path[depth - 1]!.drop(levels[depth - 1]!);
    return true;
  }
}

function walk<T>(
  node: TrieNode<T>,
  levels: readonly string[],
  depth: number,
  literalOnly: boolean,
  found: T[],
): void {
  // `a/#` matches `a` too, so this does not depend on whether the topic goes on.
  if (!literalOnly) collect(node.heldBelow, found);
  if (depth === levels.length) {
    collect(node.held, found);
    return;
  }
  if (node.plus !== undefined && !literalOnly) walk(node.plus, levels, depth + 1, false, found);
  const child = node.child(levels[depth]!);
  if (child !== undefined) walk(child, levels, depth + 1, false, found);
}

function collect<T>(held: Held<T> | undefined, found: T[]): void {
  if (held === undefined) return;
  for (const value of held) found.push(value);
}

/** The container to keep, or undefined where the value is in it already. */
function withValue<T>(held: Held<T> | undefined, value: T): Held<T> | undefined {
  if (held === undefined) return [value];
  if (held instanceof Set) return held.has(value) ? undefined : held.add(value);
  if (held.includes(value)) return undefined;
  if (held.length === listedValuesMax) return new Set(held).add(value);
  held.push(value);
  return held;
}

function withoutValue<T>(held: Held<T>, value: T): boolean {
  if (held instanceof Set) return held.delete(value);
  const at = held.indexOf(value);
  if (at !== -1) held.splice(at, 1);
  return at !== -1;
}

function countOf<T>(held: Held<T>): number {
  return held instanceof Set ? held.size : held.length;
}

/** One page of an answer. `next` is where to go on; without it there is no more. */
interface TopicPage<T> {
  readonly items: [topic: string, value: T][];
  readonly next?: string;
}

/**
 * A page looks at no more topics than this for each item asked for, so that no filter holds up the
 * event loop.
 */
const looksPerItem = 16;
const looksMin = 4096;

export class TopicTree<T> {
  readonly #values = new Map<string, T>();
  readonly #order = new OrderedKeys();

  get size(): number {
    return this.#values.size;
  }

  get(topic: string): T | undefined {
    return this.#values.get(topic);
  }

  set(topic: string, value: T): void {
    if (!this.#values.has(topic)) this.#order.add(topic);
    this.#values.set(topic, value);
  }

  delete(topic: string): boolean {
    if (!this.#values.delete(topic)) return false;
    this.#order.delete(topic);
    return true;
  }

  /**
   * The topics that a (valid, not shared) filter matches, in the order of their code units, from
   * behind `afterTopic`. A page may have fewer items than `limit`, even none, and still a `next` to
   * go on with: it ends as well when it has looked at many topics in vain. Topics set or deleted
   * between two pages are seen or not as they lie before or behind `next`; no other topic is missed
   * or comes twice.
   */
  matching(filter: string, afterTopic: string | undefined, limit: number): TopicPage<T> {
    const items: [string, T][] = [];
    if (!isWildcardFilter(filter)) {
      const value = this.#values.get(filter);
      if (value !== undefined && (afterTopic === undefined || afterTopic < filter))
        items.push([filter, value]);
      return { items };
    }
    const levels = filter.split('/');
    const cursor = this.#order.seek(afterTopic ?? '');
    if (afterTopic !== undefined && cursor.key === afterTopic) cursor.next();
    let last = afterTopic;
    const looksMax = Math.max(looksMin, limit * looksPerItem);
    for (let looks = 0; cursor.key !== undefined; looks += 1) {
      if (last !== undefined && (items.length >= limit || looks >= looksMax))
        return { items, next: last };
      const topic = cursor.key;
      last = topic;
      if (matches(filter, topic)) {
        items.push([topic, this.#values.get(topic)!]);
        cursor.next();
        continue;
      }
      const target = nextCandidate(levels, topic);
      if (target === undefined) return { items };
      if (target > topic) cursor.seek(target);
      else cursor.next();
    }
    return { items };
  }
}

/**
 * For a topic that the filter does not match: a place with no match between the topic and it. The
 * topic itself means that nothing can be skipped, undefined that no match follows. The order is
 * that of code units, or of bytes where the strings have one for each unit.
 */
export function nextCandidate(filter: readonly string[], topic: string): string | undefined {
  const first = filter[0]!;
  // [MQTT-4.7.2-1] past all that begins with $
  if (topic.startsWith('$') && (first === '+' || first === '#')) return '%';
  /** The end of the last level that a `+` stood for. All before it is as the filter wants it. */
  let variableEnd = -1;
  let start = 0;
  for (let index = 0; ; index += 1) {
    const level = filter[index];
    // Deeper than the filter: past all that lies below the place where the filter ends.
    if (level === undefined) return `${topic.slice(0, start - 1)}0`;
    const slashAt = topic.indexOf('/', start);
    const end = slashAt === -1 ? topic.length : slashAt;
    if (level === '+') {
      // The topic ends too early, and the next one may be the same with a level more.
      if (slashAt === -1) return topic;
      variableEnd = end;
    } else {
      const here = topic.slice(0, start) + level;
      const below = `${here}/`;
      const same = end === here.length && topic.startsWith(here);
      if (same && slashAt === -1) return below;
      if (!same) {
        const endsHere = index === filter.length - 1 || filter[index + 1] === '#';
        if (endsHere && topic < here) return here;
        if (index < filter.length - 1 && topic < below) return below;
        return variableEnd === -1 ? undefined : `${topic.slice(0, variableEnd)}0`;
      }
    }
    start = end + 1;
  }
}
