/**
 * Rules by the levels of their filters; a rule is its index in the list of them. It hides that each
 * node knows the lowest index at or below it: an earlier rule decides, so that later ones are not
 * walked; and that the rules of a node are spread to those below it when it is asked for the first
 * time, so that a long list costs no more than what of it is asked for.
 */
export class RuleIndex {
  readonly #filters: Filters;
  readonly #root = new RuleNode();

  /** The filters by their levels. */
  constructor(filters: Filters) {
    this.#filters = filters;
    for (let index = 0; index < filters.length; index += 1) this.#root.add(index);
  }

  /** Index of the first rule whose filter matches the topic; Infinity: none does. */
  first(topic: string): number {
    return first(this.#filters, this.#root, topic.split('/'), 0, Number.POSITIVE_INFINITY);
  }

  /**
   * Calls `visit` with the rules below an index that may match a topic of the filter, in any order,
   * until `visit` answers true.
   */
  near(filter: string, below: number, visit: (index: number) => boolean): void {
    near(this.#filters, this.#root, filter.split('/'), 0, below, visit);
  }
}

type Filters = readonly (readonly string[])[];

class RuleNode {
  lowest = Number.POSITIVE_INFINITY;
  /** Rules that were not spread yet, ascending. */
  #waiting: number[] | undefined = undefined;
  /** Rules whose filters end here, ascending. */
  here: number[] | undefined = undefined;
  /** Rules whose filters end here with `/#`, ascending. */
  below: number[] | undefined = undefined;
  plus: RuleNode | undefined = undefined;
  children: Map<string, RuleNode> | undefined = undefined;

  /** Before the node is asked; a higher index than those before. */
  add(index: number): void {
    if (this.#waiting === undefined) {
      this.lowest = index;
      this.#waiting = [index];
    } else this.#waiting.push(index);
  }

  /** The node is asked: its rules go to their places, or to the nodes of their next level. */
  spread(filters: Filters, depth: number): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    for (const index of waiting) {
      const level = filters[index]![depth];
      if (level === undefined) (this.here ??= []).push(index);
      else if (level === '#') (this.below ??= []).push(index);
      else this.#childOrNew(level).add(index);
    }
  }

  #childOrNew(level: string): RuleNode {
    if (level === '+') return (this.plus ??= new RuleNode());
    const children = (this.children ??= new Map<string, RuleNode>());
    const known = children.get(level);
    if (known !== undefined) return known;
    const made = new RuleNode();
    children.set(level, made);
    return made;
  }
}

function first(
  filters: Filters,
  node: RuleNode,
  levels: readonly string[],
  depth: number,
  most: number,
): number {
  if (node.lowest >= most) return most;
  node.spread(filters, depth);
  // [MQTT-4.7.2-1] a leading wildcard does not match a topic that begins with $
  const literalOnly = depth === 0 && levels[0]!.startsWith('$');
  let found = most;
  if (node.below !== undefined && !literalOnly) found = Math.min(found, node.below[0]!);
  if (depth === levels.length) {
    return node.here === undefined ? found : Math.min(found, node.here[0]!);
  }
  const child = node.children?.get(levels[depth]!);
  if (child !== undefined) found = first(filters, child, levels, depth + 1, found);
  if (node.plus !== undefined && !literalOnly)
    found = first(filters, node.plus, levels, depth + 1, found);
  return found;
}

type Visit = (index: number) => boolean;

/** True: `visit` has answered so. */
function near(
  filters: Filters,
  node: RuleNode,
  levels: readonly string[],
  depth: number,
  below: number,
  visit: Visit,
): boolean {
  if (node.lowest >= below) return false;
  node.spread(filters, depth);
  const end = levels.length - 1;
  // Below `#` everything is near, whatever its level.
  const level = levels[levels[end] === '#' ? Math.min(depth, end) : depth];
  if (visitAll(node.below, below, visit)) return true;
  if (level === undefined || level === '#') {
    if (visitAll(node.here, below, visit)) return true;
    if (level === undefined) return false;
  }
  const next = depth + 1;
  if (node.plus !== undefined && near(filters, node.plus, levels, next, below, visit)) return true;
  if (level !== '#' && level !== '+') {
    const child = node.children?.get(level);
    return child !== undefined && near(filters, child, levels, next, below, visit);
  }
  for (const child of node.children?.values() ?? [])
    if (near(filters, child, levels, next, below, visit)) return true;
  return false;
}

function visitAll(indexes: readonly number[] | undefined, below: number, visit: Visit): boolean {
  if (indexes === undefined) return false;
  for (const index of indexes) {
    if (index >= below) return false;
    if (visit(index)) return true;
  }
  return false;
}
