import { nodeId } from '@lmqtt/common/ids';
import type { Reply } from '../../redis/connection.ts';
import type { NodeLine, NodeRecord, NodeRole } from '../nodes.ts';
import { listOf, textOf } from './registry-reply.ts';

/**
 * The answer of the script `list` as operators see it; a node that is back is not listed as gone
 * too.
 */
export function linesOf(reply: Reply, leaseMs: number): NodeLine[] {
  const [now, members, ended] = listOf(reply);
  const nowMs = Number(textOf(now));
  const lines = new Map<string, NodeLine>();
  for (const line of listOf(ended).map(textOf)) {
    const [role, id, instance, , , atMs, record] = line.split('\0');
    lines.set(`${role}:${id}`, {
      ...recordOf(record, role as NodeRole, id!, instance!),
      state: 'gone',
      leaseAgeMs: Math.max(0, nowMs - Number(atMs)),
      connections: 0,
    });
  }
  const texts = listOf(members).map(textOf);
  for (let at = 0; at < texts.length; at += 5) {
    const [member, endMs, record, connections, drains] = texts.slice(at, at + 5);
    const [role, id] = [member!.slice(0, 2), member!.slice(3)];
    lines.set(member!, {
      ...recordOf(record, role as NodeRole, id, ''),
      state: drains === '1' ? 'draining' : 'alive',
      leaseAgeMs: Math.max(0, nowMs + leaseMs - Number(endMs)),
      connections: Number(connections),
    });
  }
  return [...lines.values()];
}

function recordOf(
  text: string | undefined,
  role: NodeRole,
  id: string,
  instance: string,
): NodeRecord {
  const plain = { id: nodeId(id), role, instance, version: '', address: '', startedAtMs: 0 };
  return { ...plain, ...(JSON.parse(text === undefined || text === '' ? '{}' : text) as object) };
}
