/** The work's result, and the count of turns of the event loop that it took. */
export async function countTurns<T>(
  work: Promise<T>,
): Promise<{ readonly result: T; readonly turns: number }> {
  let turns = 0;
  let isDone = false;
  const next = (): void => {
    turns += 1;
    if (!isDone) setImmediate(next);
  };
  setImmediate(next);
  try {
    return { result: await work, turns };
  } finally {
    isDone = true;
  }
}
