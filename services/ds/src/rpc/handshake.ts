// The metadata with which a cs opens its stream: who may come in, and who it is.
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Metadata, status } from '@grpc/grpc-js';
import { type NodeId, nodeId } from '@lmqtt/common/ids';
import { metadataNames, protocolVersion } from '@lmqtt/proto/dispatch';
import type { AboutNode } from './admission.ts';
import type { RefusalReason } from './rpc-events.ts';

export interface Greeting {
  readonly kind: 'greeting';
  readonly node: NodeId;
  /** One process of the node. */
  readonly instance: string;
  /** The attachment that is to go on; '': none. */
  readonly attachment: string;
  /** The last sequence that arrived at cs. */
  readonly received: number;
  readonly about: AboutNode;
}

interface Unwelcome {
  readonly kind: 'unwelcome';
  readonly reason: RefusalReason;
  readonly code: status;
  /** One sentence. */
  readonly detail: string;
}

const nameCharactersMax = 256;

export function greetingOf(metadata: Metadata, secret: string | null): Greeting | Unwelcome {
  if (secret !== null && !isSame(textOf(metadata, 'secret'), secret)) {
    const detail = 'the secret is not that of this cluster (CLUSTER_SECRET)';
    return { kind: 'unwelcome', reason: 'secret', code: status.UNAUTHENTICATED, detail };
  }
  const version = textOf(metadata, 'protocol');
  if (version !== String(protocolVersion)) {
    const theirs = version === '' ? 'none' : version.slice(0, nameCharactersMax);
    const detail = `the protocol of ds is version ${protocolVersion}, that of cs ${theirs}`;
    const code = status.FAILED_PRECONDITION;
    return { kind: 'unwelcome', reason: 'protocol version', code, detail };
  }
  const node = textOf(metadata, 'node');
  const instance = textOf(metadata, 'instance');
  const received = Number(textOf(metadata, 'received'));
  if (!isName(node) || !isName(instance) || !Number.isSafeInteger(received) || received < 0) {
    const detail = 'the metadata of the stream does not name a node and its instance';
    return { kind: 'unwelcome', reason: 'metadata', code: status.INVALID_ARGUMENT, detail };
  }
  const attachment = textOf(metadata, 'attachment');
  const about = {
    version: textOf(metadata, 'version').slice(0, nameCharactersMax),
    address: textOf(metadata, 'address').slice(0, nameCharactersMax),
    startedAtMs: Number(textOf(metadata, 'started')) || 0,
  };
  return { kind: 'greeting', node: nodeId(node), instance, attachment, received, about };
}

function isName(text: string): boolean {
  return text.length > 0 && text.length <= nameCharactersMax;
}

function textOf(metadata: Metadata, name: keyof typeof metadataNames): string {
  const [value] = metadata.get(metadataNames[name]);
  return value === undefined ? '' : value.toString();
}

/** Takes as long whatever the secret that is shown. */
function isSame(shown: string, secret: string): boolean {
  return timingSafeEqual(digestOf(shown), digestOf(secret));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
