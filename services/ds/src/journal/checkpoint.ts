import type { EntryKey, Participant } from './participant.ts';
import type { Change, CheckpointMark, CheckpointState } from './state.ts';

const portion = 2000;

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
      for (let from = 0; from < keys.length; from += portion) {
        const changes = capture(participant, keys, from, from + portion);
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
    capture(participant, keys, 0, keys.length),
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

function capture(participant: Participant, keys: EntryKey[], from: number, to: number): Change[] {
  const table = participant.name;
  return keys.slice(from, to).map((key) => ({ table, key, value: participant.entry(key) }));
}

function putBack(taken: Taken[]): void {
  for (const { participant, keys } of taken) participant.putBack(keys);
}
