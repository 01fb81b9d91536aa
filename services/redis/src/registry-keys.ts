// The agreement of cs and ds about Redis: the beginning of the registry's keys, and the form in
// which nodes are kept (scripts of ds write them).
import type { NodeId } from '@lmqtt/common/ids';
import { nodeId } from '@lmqtt/common/ids';

/** A cluster id has letters, digits, `.`, `_` and `-`; anything else throws. */
export function clusterPrefix(clusterId: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(clusterId)) {
    throw new Error(`CLUSTER_ID: ${clusterId} is not of letters, digits, dot, _ and -`);
  }
  return `lmqtt:${clusterId}:`;
}

/** All keys of the registry begin so: one hash tag, that scripts may touch them together. */
export function registryPrefix(clusterId: string): string {
  return `${clusterPrefix(clusterId)}{reg}:`;
}

export const nodeKeys = {
  /** A text: another one after the registry has lost something. */
  life: 'life',
  /** Sorted set of `<role>:<id>`; a node that was judged is not in it. */
  leases: 'leases',
  /** Hash of `<role>:<id>`: a record as JSON. */
  records: 'nodes',
  /** Set of the ids of ds. */
  draining: 'draining',
} as const;

const dsMark = 'ds:';

/** Undefined: a member that is no ds. */
export function dsOfMember(member: string): NodeId | undefined {
  return member.startsWith(dsMark) ? nodeId(member.slice(dsMark.length)) : undefined;
}

/** The address of a record; undefined where it has none that can be read. */
export function addressOfRecord(text: string): { host: string; port: number } | undefined {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof record !== 'object' || record === null || !('address' in record)) return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(String(record.address));
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65535 ? undefined : { host, port };
}
