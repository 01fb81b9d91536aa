import type { ClientId, QueueId } from '@lmqtt/common/ids';

export interface MirroredPosition {
  readonly partition: number;
  readonly position: number;
}

/**
 * Positions of stored sessions as the store of messages itself can keep them: for nodes of another
 * make, and for what is left when the session store was lost. Never read where that has something.
 *
 * Promises
 * - note: kept soon, the last one of each queue and partition; what is on its way when this ds or
 *   the store stops may be lost. A position may be older than the true one, never newer.
 * - forget: after it nothing is found, unless `note` comes again.
 * - find: what was kept last, by whomever. Empty: nothing. Rejects where the store does not answer.
 */
export interface PositionMirror {
  note(clientId: ClientId, queue: QueueId, positions: readonly MirroredPosition[]): void;
  forget(clientId: ClientId, queue: QueueId, partitions: readonly number[]): void;
  find(clientId: ClientId, queue: QueueId): Promise<MirroredPosition[]>;
}
