/** Times by which the delay grows at most. */
const growthMax = 60;

/** Time until another try, in the unit of the interval: it doubles with each try that has failed. */
export function retryDelay(tries: number, interval: number): number {
  return interval * Math.min(2 ** Math.max(0, tries - 1), growthMax);
}
