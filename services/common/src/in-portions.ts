import { nextTurn } from './pause.ts';

/** Subscriptions, or the like, that are worked on in one turn of the event loop. */
export const portionMax = 200;

/**
 * The work on each of them as they are now, so many in one turn of the event loop. undefined: it is
 * done, since there are few.
 */
export function inPortions<T>(
  items: readonly T[],
  work: (item: T) => void,
): Promise<void> | undefined {
  if (items.length > portionMax) return overTurns([...items], work);
  for (const item of items) work(item);
  return undefined;
}

async function overTurns<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
  for (const [index, item] of items.entries()) {
    if (index > 0 && index % portionMax === 0) await nextTurn();
    work(item);
  }
}
