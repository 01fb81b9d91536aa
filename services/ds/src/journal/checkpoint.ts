import { nextTurn } from '@lmqtt/common/pause';
import type { EntryKey, Participant } from './participant.ts';
import type { Change, CheckpointMark, CheckpointState } from './state.ts';

/** Entries, and bytes of them, that one transaction writes; the last entry may be larger. */
const entriesMax = 2000;
const bytesMax = 512 << 10;
/** Bytes of entries that are made in one turn of the event loop. */
const turnBytes = 128 << 10;
/** The least that making an entry counts for. */
const leastBytes = 256;

interface Taken {
  readonly participant: Participant;
  readonly keys: EntryKey[];
}

/**
 * Writes what changed, in portions, then the mark (participant.ts tells why this is right).
 * `durable` resolves when everything that has been added to the log is.
 */
export async function takeCheckpoint(
  state: CheckpointState,
  participants: readonly Participant[],
  mark: CheckpointMark,
  durable: () => Promise<void>,
): Promise<number> {
  const taken = take(participants);
  let count = 0;
  try {
    for (const { participant, keys } of taken) {
      for await (const changes of portionsOf(participant, keys)) {
        await durable();
        await state.write(changes, undefined);
        count += changes.length;
      }
    }
    await durable();
    await state.write([], mark);
    return count;
  } catch (error) {
    putBack(taken);
    throw error;
  }
}

/**
 * The same after a failure of the log, when memory holds more than the log does: taken in one
 * turn, which is the moment that `mark` stands for, and written as one transaction.
 */
export async function takeWholeCheckpoint(
  state: CheckpointState,
  participants: readonly Participant[],
  mark: CheckpointMark,
): Promise<number> {
  const taken = take(participants);
  const changes = taken.flatMap(({ participant, keys }) =>
    keys.map((key): Change => {
      const entry = participant.entry(key);
      const isWhole = entry === undefined || Buffer.isBuffer(entry);
      const value = isWhole ? entry : Buffer.concat([...entry.pieces]);
      return { table: participant.name, key, value };
    }),
  );
  try {
    await state.write(changes, mark);
    return changes.length;
  } catch (error) {
    putBack(taken);
    throw error;
  }
}

function take(participants: readonly Participant[]): Taken[] {
  return participants.map((participant) => ({
    participant,
    keys: [...participant.takeChanged()],
  }));
}

/** The entries as they are when each is reached; what makes many bytes goes over some turns. */
async function* portionsOf(participant: Participant, keys: EntryKey[]): AsyncIterable<Change[]> {
  const table = participant.name;
  let changes: Change[] = [];
  let bytes = 0;
  let ofTurn = 0;
  for (const key of keys) {
    const entry = participant.entry(key);
    let value: Buffer | undefined;
    if (entry === undefined || Buffer.isBuffer(entry)) {
      value = entry;
      ofTurn += leastBytes + (entry?.length ?? 0);
    } else value = await inTurns(entry.pieces);
    changes.push({ table, key, value });
    bytes += value?.length ?? 0;
    if (changes.length >= entriesMax || bytes >= bytesMax) {
      yield changes;
      changes = [];
      bytes = 0;
      ofTurn = 0;
    } else if (ofTurn >= turnBytes) {
      await nextTurn();
      ofTurn = 0;
    }
  }
  if (changes.length > 0) yield changes;
}

async function inTurns(pieces: Iterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  let ofTurn = 0;
  for (const piece of pieces) {
    all.push(piece);
    ofTurn += piece.length;
    if (ofTurn < turnBytes) continue;
    await nextTurn();
    ofTurn = 0;
  }
  return Buffer.concat(all);
}

function putBack(taken: Taken[]): void {
  for (const { participant, keys } of taken) participant.putBack(keys);
}
