import type { StoredSince } from '../queue-store.ts';
import { collect, emptyRecords } from './collect.ts';
import { storedMsOf } from './message-record.ts';
import type { QueuePlaces } from './queue-index.ts';
import type { RecordReader } from './record-reader.ts';

/**
 * The first offset of a queue whose message was stored at the time or later; found by halves, with
 * a read of one record each.
 */
export async function storedSince(
  places: QueuePlaces,
  reader: RecordReader,
  timeMs: number,
): Promise<StoredSince> {
  let low = places.first;
  let high = places.stored;
  let isOlder = low === 0 && high === 0;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const found = await firstFrom(places, reader, middle);
    // A hole, or damaged: what is next of it says the same.
    if (found === undefined || found.storedMs >= timeMs) high = middle;
    else {
      isOlder = true;
      low = found.offset + 1;
    }
  }
  return { offset: low, isOlder };
}

/** The first message at or past the offset; undefined: it cannot be read. */
async function firstFrom(
  places: QueuePlaces,
  reader: RecordReader,
  from: number,
): Promise<{ readonly offset: number; readonly storedMs: number } | undefined> {
  const wanted = emptyRecords();
  const offsets: number[] = [];
  collect(places, Math.max(from, places.trimmed), 1, 1, wanted, offsets);
  const offset = offsets[0];
  if (offset === undefined) return undefined;
  await reader.load(wanted);
  const [buffer] = wanted.buffers;
  return buffer && { offset, storedMs: storedMsOf(buffer, wanted.starts[0] ?? 0) };
}
