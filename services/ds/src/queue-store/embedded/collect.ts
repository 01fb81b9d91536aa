import type { QueuePlaces } from './queue-index.ts';
import type { WantedRecords } from './record-reader.ts';

export function emptyRecords(): WantedRecords {
  return { segments: [], positions: [], lengths: [], buffers: [], starts: [] };
}

/** Collects places of messages from `from` on, up to the limits. True: there are no more. */
export function collect(
  places: QueuePlaces,
  from: number,
  messagesMax: number,
  bytesMax: number,
  wanted: WantedRecords,
  offsets: number[],
): boolean {
  let bytes = 0;
  for (let r = places.find(from); r < places.runs.length; r++) {
    const run = places.runs[r];
    if (run === undefined) break;
    for (let i = Math.max(0, from - run.first); i < run.count; i++) {
      const at = run.start + i * 2;
      const length = run.entries[at + 1] ?? 0;
      // Damaged, and passed over from then on.
      if (length === 0) continue;
      const full = offsets.length >= messagesMax || bytes + length > bytesMax;
      if (full && offsets.length > 0) return false;
      bytes += length;
      wanted.segments.push(run.segment);
      wanted.positions.push(run.entries[at] ?? 0);
      wanted.lengths.push(length);
      offsets.push(run.first + i);
    }
  }
  return true;
}

/** The offset of the message before, as far as it is still known. */
export function before(places: QueuePlaces, offset: number): number {
  const at = places.find(offset);
  const run = places.runs[at];
  if (run !== undefined && run.first < offset) return offset - 1;
  const earlier = places.runs[at - 1];
  return earlier === undefined ? offset - 1 : earlier.first + earlier.count - 1;
}
