import { status } from '@grpc/grpc-js';
import { csOfLane, type NodeId } from '@lmqtt/common/ids';
import { RpcAttachment, type AttachmentPorts, nodeIdInUse } from './attachment.ts';
import type { AboutNode } from './admission.ts';
import type { Greeting } from './handshake.ts';
import { NodeFigures } from './node-figures.ts';
import type { RpcStream } from './rpc-stream.ts';

type AttachmentsPorts = Omit<AttachmentPorts, 'figures' | 'onClosed'>;

/** A cs that is attached, by one lane or several. */
export interface NodeLine {
  readonly node: NodeId;
  readonly connections: number;
  readonly draining: boolean;
  readonly about: AboutNode;
}

/**
 * Which cs a stream belongs to. A node has one attachment. One that was admitted holds its name
 * until ds has judged its lease or it has left; only its own process may begin anew before.
 */
export class Attachments {
  readonly #ports: AttachmentPorts;
  readonly #figures = new NodeFigures();
  readonly #byId = new Map<string, RpcAttachment>();
  /** Closed ones too, while their lease lasts. */
  readonly #byNode = new Map<NodeId, RpcAttachment>();

  constructor(ports: AttachmentsPorts) {
    this.#ports = {
      ...ports,
      figures: this.#figures,
      onClosed: (attachment, leased) => this.#closed(attachment, leased),
    };
    ports.admission.onNodeEnded((node) => this.#nodeEnded(node));
  }

  open(greeting: Greeting, stream: RpcStream): void {
    const { node, instance, received } = greeting;
    const known = this.#byId.get(greeting.attachment);
    if (known !== undefined && known.node === node && known.instance === instance) {
      known.open(stream, true, received);
      return;
    }
    const holder = this.#byNode.get(node);
    if (holder !== undefined && holder.instance !== instance) {
      const why = nodeIdInUse(node);
      this.#ports.events.refused('node id in use', stream.address, why);
      stream.end(status.ALREADY_EXISTS, why);
      return;
    }
    holder?.close(status.ABORTED, 'this process has begun anew');
    const attachment = new RpcAttachment(node, instance, greeting.about, this.#ports);
    this.#byId.set(attachment.id, attachment);
    this.#byNode.set(node, attachment);
    attachment.open(stream, false, 0);
  }

  /** A second stream of an attachment, for its renewals. */
  openPulses({ node, instance, attachment }: Greeting, stream: RpcStream): void {
    const known = this.#byId.get(attachment);
    if (known !== undefined && known.node === node && known.instance === instance)
      known.openPulses(stream);
    else stream.end(status.NOT_FOUND, 'no such attachment');
  }

  /** Counters of all nodes, by name. */
  counters(): Record<string, number> {
    return this.#figures.totals();
  }

  nodes(): NodeLine[] {
    const lines = new Map<NodeId, NodeLine>();
    for (const { admitted, node: lane, lastRenew, about } of this.#byId.values()) {
      if (!admitted) continue;
      const node = csOfLane(lane);
      // Each lane tells those of the whole cs; one that lives elsewhere now tells nothing any more.
      const other = lines.get(node);
      const connections = Math.max(lastRenew?.connections ?? 0, other?.connections ?? 0);
      const draining = lastRenew?.draining === true || other?.draining === true;
      lines.set(node, { node, connections, draining, about });
    }
    return [...lines.values()];
  }

  /** Whether that lane of a cs is here, over an open stream. */
  isHeard(lane: NodeId): boolean {
    const attachment = this.#byNode.get(lane);
    return attachment?.admitted === true && attachment.isHeard;
  }

  /** Asks a cs to drain, or to take clients again. False: it is not attached. */
  drain(cs: NodeId, draining: boolean): boolean {
    let isHere = false;
    for (const attachment of this.#byId.values()) {
      if (!attachment.admitted || csOfLane(attachment.node) !== cs) continue;
      attachment.drain(draining);
      isHere = true;
    }
    return isHere;
  }

  get count(): number {
    return this.#byId.size;
  }

  get waitingBytes(): number {
    let bytes = 0;
    for (const attachment of this.#byId.values()) bytes += attachment.waitingBytes;
    return bytes;
  }

  get unacknowledgedFrames(): number {
    let frames = 0;
    for (const attachment of this.#byId.values()) frames += attachment.unacknowledgedFrames;
    return frames;
  }

  /** Their cs come back, to this ds or another. */
  stop(): void {
    for (const attachment of [...this.#byId.values()]) attachment.stop();
  }

  #nodeEnded(node: NodeId): void {
    const attachment = this.#byNode.get(node);
    if (attachment?.closed === true) this.#byNode.delete(node);
    else attachment?.leaseEnded();
  }

  #closed(attachment: RpcAttachment, leased: boolean): void {
    this.#byId.delete(attachment.id);
    if (!leased && this.#byNode.get(attachment.node) === attachment)
      this.#byNode.delete(attachment.node);
  }
}
