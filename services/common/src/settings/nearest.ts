// The name that a user may have meant by a wrong one.

/** Edits (insert, delete, replace, swap of neighbours) that make one text of the other. */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = from[row - 1] === to[column - 1] ? 0 : 1;
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + replaced,
      );
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwap && column > 1) least = Math.min(least, (beforeLast[column - 2] ?? 0) + 1);
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}

/** The longest text that is looked at. */
const charactersMax = 64;

/** Undefined where no name is near: past a third of its characters it is another word. */
export function nearest(text: string, names: Iterable<string>): string | undefined {
  if (text.length > charactersMax) return undefined;
  let found: string | undefined;
  let least = Infinity;
  for (const name of names) {
    const edits = distance(text, name);
    if (edits >= least || edits > Math.max(1, Math.floor(name.length / 3))) continue;
    least = edits;
    found = name;
  }
  return found;
}
