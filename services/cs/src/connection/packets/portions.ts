/**
 * Filters that one turn of the event loop works on: a packet with more goes to ds in portions, so
 * that no client waits for the whole of another's packet.
 */
const portionMax = 500;
/** Bytes that a filter under way counts for: more than it holds, because of the work that it is. */
const filterWeightBytes = 512;

/** Bytes that a request counts for while it waits for ds. */
export function weightOf(packetBytes: number, filterCount: number): number {
  return Math.max(packetBytes, filterCount * filterWeightBytes);
}

/** The start and end of each portion. */
export function* portionsOf(count: number): Iterable<readonly [from: number, to: number]> {
  for (let from = 0; from < count; from += portionMax) {
    yield [from, Math.min(count, from + portionMax)];
  }
}

export function isOnePortion(count: number): boolean {
  return count <= portionMax;
}
