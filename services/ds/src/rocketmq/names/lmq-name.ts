// Names of light message queues.
//
//     %LMQ%{text}                   ordinary, as the Java nodes write it: "/" is "%", a filter with a "/" ends in one
//     %LMQ%{text with "#2C"}        a comma, at which the broker would split the list of names
//     %LMQ%{beginning}##{sha256}    longer than a folder's name may be (one such name stops a broker's dispatch for 30 s
//                                   a message), or with a separator of properties in it
//     %LMQ%##{cluster}#{number}     a bucket, shared by many topics, or by many filters with wildcards
//
// In a legal filter "#" stands alone, at the end: "#2C" and "##" are in no ordinary name. They look like wildcards to a
// Java node, which then takes no topic from them. Different filters may share a name (`t/r1` and `t/r1/`; `a/b/` and
// `a%b%`), so what a queue holds is always checked by the stored topic.
import { createHash } from 'node:crypto';
import type { ClientId, QueueName } from '@lmqtt/common/ids';
import { hasSeparator } from '../message/separators.ts';

const prefix = '%LMQ%';
/** Maximum bytes of a name in UTF-8: it is the name of a folder. */
const nameBytesMax = 255;
/** How much of a hashed name can be read. */
const readableBytesMax = 96;
const escapedComma = '#2C';
const clusterIdPattern = /^[A-Za-z0-9._-]{1,64}$/;
const bucketPattern = /^%LMQ%##[^%#]+#\d+$/;

export function lmqNameOf(filter: QueueName): string {
  return nameOf(normalised(filter));
}

/** The queue of what is published to `{first}/p2p/{clientId}`. */
export function lmqP2pName(clientId: ClientId): string {
  return nameOf(`/p2p/${clientId}/`);
}

/** The queue of what is sent to the client again. */
export function lmqRetryName(clientId: ClientId): string {
  return nameOf(`/retry/${clientId}/`);
}

/** A queue that many exact topics of one cluster share. */
export function bucketName(clusterId: string, number: number): string {
  if (!clusterIdPattern.test(clusterId)) throw new Error(`not a cluster id: ${clusterId}`);
  return `${prefix}##${clusterId}#${number}`;
}

/** How many queues filters with wildcards share, once too many bytes of names would match one topic. */
export const wildcardBuckets = 8;
/** Behind all that topics share. */
const firstWildcardBucket = 1_000_000;
/** Behind all that filters with wildcards share. */
const firstClientBucket = 2_000_000;

/** A queue that many filters with wildcards share. */
export function wildcardBucketName(clusterId: string, filter: string): string {
  return bucketName(clusterId, firstWildcardBucket + bucketOf(filter, wildcardBuckets));
}

/** A queue that many clients share for what is sent to one of them. */
export function clientBucketName(clusterId: string, client: ClientId, buckets: number): string {
  return bucketName(clusterId, firstClientBucket + bucketOf(client, buckets));
}

/** FNV-1a over code units: every node chooses the same. */
export function bucketOf(topic: string, buckets: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < topic.length; index += 1)
    hash = Math.imul(hash ^ topic.charCodeAt(index), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % buckets;
}

export function isBucketName(name: string): boolean {
  return bucketPattern.test(name);
}

function isLmqName(name: string): boolean {
  return name.startsWith(prefix);
}

/**
 * The topic that an ordinary name stands for, without the "/" that normalising added. undefined: a wildcard filter, or
 * no ordinary name.
 */
export function topicOfLmqName(name: string): string | undefined {
  if (!isLmqName(name) || name.includes('#') || name.includes('+')) return undefined;
  const topic = name.slice(prefix.length).replaceAll('%', '/');
  const ends = topic.length > 1 && topic.endsWith('/');
  const text = ends ? topic.slice(0, -1) : topic;
  return text === '' ? undefined : text;
}

function normalised(filter: string): string {
  return filter.includes('/') && !filter.endsWith('/') ? `${filter}/` : filter;
}

function nameOf(text: string): string {
  const plain = text.replaceAll('/', '%');
  // Only a client identifier can hold the escape itself.
  if (hasSeparator(plain) || plain.includes(escapedComma)) return hashedName(plain);
  const name = prefix + plain.replaceAll(',', escapedComma);
  // No UTF-16 unit takes more than three bytes.
  if (name.length * 3 <= nameBytesMax || Buffer.byteLength(name) <= nameBytesMax) return name;
  return hashedName(plain);
}

function hashedName(plain: string): string {
  let readable = '';
  let bytes = 0;
  for (const character of plain) {
    const piece = readableOf(character);
    bytes += Buffer.byteLength(piece);
    if (bytes > readableBytesMax) break;
    readable += piece;
  }
  return `${prefix}${readable}##${createHash('sha256').update(plain).digest('hex')}`;
}

function readableOf(character: string): string {
  if (character === ',') return escapedComma;
  return hasSeparator(character) ? '_' : character;
}
