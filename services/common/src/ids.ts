/** Names and numbers that must not be taken for one another. */
declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A client identifier, 1 to 65,535 bytes of UTF-8. */
export type ClientId = Branded<string, 'ClientId'>;
/** A cs or ds node, unique in the cluster for the life of its process. */
export type NodeId = Branded<string, 'NodeId'>;
/** The topic filter that a queue stands for, without any `$share/{group}/`. */
export type QueueName = Branded<string, 'QueueName'>;
/** One generation of one queue: a deleted and re-created queue has another. Below 2^48. */
export type QueueId = Branded<number, 'QueueId'>;
/** A shared group (`$share/{group}/{filter}`) for as long as it has members. */
export type GroupId = Branded<number, 'GroupId'>;
/** Grows with each claim of a session; writes with any other epoch are refused. */
export type Epoch = Branded<number, 'Epoch'>;
/** A connection's number within its cs; names its session in frames. */
export type SessionHandle = Branded<number, 'SessionHandle'>;

export function clientId(text: string): ClientId {
  return text as ClientId;
}

export function nodeId(text: string): NodeId {
  return text as NodeId;
}

export function queueName(filter: string): QueueName {
  return filter as QueueName;
}

export function queueId(number: number): QueueId {
  return number as QueueId;
}

export function groupId(number: number): GroupId {
  return number as GroupId;
}

export function epoch(number: number): Epoch {
  return number as Epoch;
}

export function sessionHandle(number: number): SessionHandle {
  return number as SessionHandle;
}

const laneMark = '@';

/** How a cs calls itself at one of several ds: one attachment, with the sessions that are there. */
export function laneNode(cs: NodeId, lane: string): NodeId {
  return nodeId(`${cs}${laneMark}${lane}`);
}

/** The cs of a lane; a node that has no lanes is itself. */
export function csOfLane(node: NodeId): NodeId {
  const at = node.indexOf(laneMark);
  return at === -1 ? node : nodeId(node.slice(0, at));
}

export function laneName(node: NodeId): string {
  const at = node.indexOf(laneMark);
  return at === -1 ? '' : node.slice(at + 1);
}
