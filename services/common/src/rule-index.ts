/**
 * Rules by the levels of their filters; a rule is its index in the list of them. It hides that each
 * node knows the lowest index at or below it: an earlier rule decides, so that later ones are not
 * walked.
 */
export class RuleIndex {
  readonly #root = new RuleNode();

  /** The filters by their levels. */
  constructor(filters: readonly (readonly string[])[]) {
    for (const [index, levels] of filters.entries()) this.#add(levels, index);
  }

  #add(levels: readonly string[], index: number): void {
    let node = this.#root;
    for (const level of levels) {
      node.lowest = Math.min(node.lowest, index);
      if (level === '#') {
        (node.below ??= []).push(index);
        return;
      }
      node = node.childOrNew(level);
    }
    node.lowest = Math.min(node.lowest, index);
    (node.here ??= []).push(index);
  }

  /** Index of the first rule whose filter matches the topic; Infinity: none does. */
  first(topic: string): number {
    return first(this.#root, topic.split('/'), 0, Number.POSITIVE_INFINITY);
  }

  /**
   * Calls `visit` with the rules below an index that may match a topic of the filter, in any order,
   * until `visit` answers true.
   */
  near(filter: string, below: number, visit: (index: number) => boolean): void {
    near(this.#root, filter.split('/'), 0, below, visit);
  }
}

class RuleNode {
  lowest = Number.POSITIVE_INFINITY;
  /** Rules whose filters end here, ascending. */
  here: number[] | undefined = undefined;
  /** Rules whose filters end here with `/#`, ascending. */
  below: number[] | undefined = undefined;
  plus: RuleNode | undefined = undefined;
  children: Map<string, RuleNode> | undefined = undefined;

  childOrNew(level: string): RuleNode {
    if (level === '+') return (this.plus ??= new RuleNode());
    const children = (this.children ??= new Map<string, RuleNode>());
    const known = children.get(level);
    if (known !== undefined) return known;
    const made = new RuleNode();
    children.set(level, made);
    return made;
  }
}

function first(node: RuleNode, levels: readonly string[], depth: number, most: number): number {
  if (node.lowest >= most) return most;
  // [MQTT-4.7.2-1] a leading wildcard does not match a topic that begins with $
  const literalOnly = depth === 0 && levels[0]!.startsWith('$');
  let found = most;
  if (node.below !== undefined && !literalOnly) found = Math.min(found, node.below[0]!);
  if (depth === levels.length) {
    return node.here === undefined ? found : Math.min(found, node.here[0]!);
  }
  const child = node.children?.get(levels[depth]!);
  if (child !== undefined) found = first(child, levels, depth + 1, found);
  if (node.plus !== undefined && !literalOnly) found = first(node.plus, levels, depth + 1, found);
  return found;
}

type Visit = (index: number) => boolean;

/** True: `visit` has answered so. */
function near(
  node: RuleNode,
  levels: readonly string[],
  depth: number,
  below: number,
  visit: Visit,
): boolean {
  if (node.lowest >= below) return false;
  const level = levels[depth];
  if (visitAll(node.below, below, visit)) return true;
  if (level === undefined || level === '#') {
    if (visitAll(node.here, below, visit)) return true;
    if (level === undefined) return false;
  }
  // Below `#` everything is near, whatever its level.
  const next = level === '#' ? depth : depth + 1;
  if (node.plus !== undefined && near(node.plus, levels, next, below, visit)) return true;
  if (level !== '#' && level !== '+') {
    const child = node.children?.get(level);
    return child !== undefined && near(child, levels, next, below, visit);
  }
  for (const child of node.children?.values() ?? [])
    if (near(child, levels, next, below, visit)) return true;
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
