/** Delays that RocketMQ knows as it is shipped, in s: level 1 is the first. */
const levelsS = [
  1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
];

/** The level that is at least as long, or the longest; undefined: no delay. */
export function delayLevelOf(delayMs: number): number | undefined {
  if (delayMs <= 0) return undefined;
  const index = levelsS.findIndex((seconds) => seconds * 1000 >= delayMs);
  return index === -1 ? levelsS.length : index + 1;
}
