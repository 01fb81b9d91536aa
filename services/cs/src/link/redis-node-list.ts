import type { NodeId } from '@lmqtt/common/ids';
import { nodeId } from '@lmqtt/common/ids';

/** A node as the registry has it. */
export interface ListedNode {
  readonly id: NodeId;
  readonly role: 'cs' | 'ds';
  readonly state: 'alive' | 'draining' | 'gone';
  /** '': it did not say. */
  readonly version: string;
  readonly address: string;
  readonly startedAtMs: number;
  readonly leaseAgeMs: number;
  readonly connections: number;
}

/** Answers of Redis to one transaction about all nodes with a lease. */
export type NodeReplies = readonly [
  time: readonly [string, string],
  leases: readonly string[],
  records: Readonly<Record<string, string>>,
  connections: Readonly<Record<string, string>>,
  draining: readonly string[],
];

/** Keys of the registry, by their content. */
export const connectionsKey = 'connections';

export function listedNodes(replies: NodeReplies, leaseMs: number): ListedNode[] {
  const [time, leases, records, connections, draining] = replies;
  const nowMs = Number(time[0]) * 1000 + Number(time[1]) / 1000;
  const nodes: ListedNode[] = [];
  for (let at = 0; at + 1 < leases.length; at += 2) {
    const [member, endMs] = [leases[at]!, Number(leases[at + 1])];
    const role = member.slice(0, 2);
    if (role !== 'cs' && role !== 'ds') continue;
    const id = member.slice(3);
    const record = recordOf(records[member]);
    nodes.push({
      id: nodeId(id),
      role,
      state: draining.includes(role === 'ds' ? id : member) ? 'draining' : 'alive',
      version: textIn(record, 'version'),
      address: textIn(record, 'address'),
      startedAtMs: Number(record['startedAtMs'] ?? 0),
      leaseAgeMs: Math.max(0, Math.round(nowMs + leaseMs - endMs)),
      connections: Number(connections[member] ?? 0),
    });
  }
  return nodes;
}

function textIn(record: Readonly<Record<string, unknown>>, name: string): string {
  const value = record[name];
  return typeof value === 'string' ? value : '';
}

function recordOf(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const record: unknown = JSON.parse(text ?? '{}');
    return typeof record === 'object' && record !== null
      ? (record as Readonly<Record<string, unknown>>)
      : {};
  } catch {
    return {};
  }
}
