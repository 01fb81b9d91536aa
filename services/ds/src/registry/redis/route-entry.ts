// Entries of the log as text: four fields for each change, NUL between them. A kind that is not
// known here is of a later version, and is passed over.
import { nodeId, queueId, queueName } from '@lmqtt/common/ids';
import type { Reply } from '../../redis/connection.ts';
import { textOf } from './registry-reply.ts';
import type { ClusterRouteChange } from '../route-log.ts';

export interface LogEntry {
  /** Number of the entry before. */
  readonly before: number;
  readonly number: number;
  readonly text: string;
}

export function entryOf(message: string): LogEntry {
  const first = message.indexOf('\0');
  const second = message.indexOf('\0', first + 1);
  return {
    before: Number(message.slice(0, first)),
    number: Number(message.slice(first + 1, second)),
    text: message.slice(second + 1),
  };
}

/** In an answer of a script that changes routes: behind its first word. */
export function entryIn(reply: readonly Reply[]): LogEntry {
  return {
    before: Number(textOf(reply[1])),
    number: Number(textOf(reply[2])),
    text: textOf(reply[3]),
  };
}

/** Undefined: another life of the registry begins. */
export function changesOf(text: string): ClusterRouteChange[] | undefined {
  const changes: ClusterRouteChange[] = [];
  if (text === '') return changes;
  const fields = text.split('\0');
  for (let at = 0; at + 3 < fields.length; at += 4) {
    const [kind, first, second, third] = [
      fields[at]!,
      fields[at + 1]!,
      fields[at + 2]!,
      fields[at + 3]!,
    ];
    if (kind === 'l') return undefined;
    const queue = queueId(Number(first));
    if (kind === 'o') {
      changes.push({ kind: 'open', queue, name: queueName(second), place: third });
    } else if (kind === 'c') {
      changes.push({ kind: 'close', queue });
    } else if (kind === 'i') {
      changes.push({ kind: 'interest', queue, node: nodeId(second), ds: nodeId(third) });
    } else if (kind === 'n') {
      changes.push({ kind: 'no interest', queue, node: nodeId(second), ds: nodeId(third) });
    }
  }
  return changes;
}
