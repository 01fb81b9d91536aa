import { createHash } from 'node:crypto';
import type { ClientId, QueueName } from '@lmqtt/common/ids';
import { clientOfP2p } from '@lmqtt/common/p2p';
import { hasSeparator } from '../message/separators.ts';
import { lmqNameOf, lmqP2pName } from './lmq-name.ts';

/** The cluster whose names are those of the Java nodes. */
export const plainCluster = 'lmqtt';

const prefix = '%LMQ%';
/** Maximum bytes of a name in UTF-8: it is the name of a folder. */
const nameBytesMax = 255;

/**
 * The LMQ of a queue, of a filter or of a single client. Clusters that share a RocketMQ have names of their own, with `##{cluster}%`
 * in front, which no filter begins with; the cluster `lmqtt` has those that Java nodes know.
 */
export function clusterLmqName(clusterId: string, filter: QueueName): string {
  const client = clientOfP2p(filter);
  const plain = client === undefined ? lmqNameOf(filter) : lmqP2pName(client);
  if (clusterId === plainCluster) return plain;
  const mark = `${prefix}##${clusterId}%`;
  const name = mark + plain.slice(prefix.length);
  if (Buffer.byteLength(name) <= nameBytesMax) return name;
  return `${mark}##${createHash('sha256').update(plain).digest('hex')}`;
}

/** The RocketMQ topic for all that has none of its own. */
export function clusterDefaultTopic(clusterId: string): string {
  return clusterId === plainCluster ? plainCluster : `${plainCluster}-${clusterId}`;
}

/** The RocketMQ topic through which messages of back ends are sent on to buckets. */
export function clusterDispatchTopic(clusterId: string): string {
  return `${clusterDefaultTopic(clusterId)}-dispatch`;
}

/** The RocketMQ topic of messages that wait for another try. */
export function clusterRetryTopic(clusterId: string): string {
  return `${clusterDefaultTopic(clusterId)}-retry`;
}

/** The RocketMQ topic of messages for which there is no other try. */
export function clusterDeadLetterTopic(clusterId: string): string {
  return `${clusterDefaultTopic(clusterId)}-dead-letters`;
}

/** The consumer group of a client's positions. Groups of this form need not be created. */
export function clusterGroupName(clusterId: string, clientId: ClientId): string {
  const mark = clusterId === plainCluster ? prefix : `${prefix}##${clusterId}%`;
  const name = mark + clientId;
  if (Buffer.byteLength(name) <= nameBytesMax && !hasSeparator(name)) return name;
  return `${mark}##${createHash('sha256').update(clientId).digest('hex')}`;
}
