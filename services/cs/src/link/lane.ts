import { laneNode, type NodeId, type SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { LinkedNode, Publish, QueueEnd, Refusal, SessionsToPresent } from '@lmqtt/proto/link';
import type { DsNode } from './directory.ts';
import { LaneDirectory } from './lane-directory.ts';
import type { LaneFigures } from './lane-events.ts';
import { LinkEnd } from './link-end.ts';
import type { LinkEndOptions } from './link-end.ts';
import type { NodeLink } from './node-link.ts';

export interface LaneOwner {
  /** Lives on this lane. */
  has(lane: Lane, session: SessionHandle): boolean;
  /** A lane is usable now, or not any more. */
  changed(): void;
}

/**
 * One attachment of this node to one ds, and the sessions that live there. To ds it is a node of
 * its own; when it goes to another ds, its sessions are presented there, and what waits goes along.
 */
export class Lane implements LaneFigures {
  readonly name: string;
  /** Sessions and claims that live on it; counted by its owner. */
  sessions = 0;
  /** While it is of no use, and there is another ds. */
  awayTimer: NodeJS.Timeout | undefined = undefined;
  /** ... for too long. */
  late = false;
  readonly #end: LinkEnd;
  readonly #directory: LaneDirectory;

  constructor(
    name: string,
    at: DsNode,
    options: Omit<LinkEndOptions, 'directory'>,
    node: LinkedNode,
    owner: LaneOwner,
  ) {
    this.name = name;
    this.#directory = new LaneDirectory(at);
    this.#end = new LinkEnd(
      { ...options, directory: this.#directory },
      new LaneNode(this, node, owner),
    );
  }

  /** The ds that it is attached to, or is to be. */
  get at(): DsNode {
    return this.#directory.at;
  }

  get link(): NodeLink {
    return this.#end.link;
  }

  get up(): boolean {
    return this.#end.up;
  }

  /** ds is there, and answers for our lease. */
  get usable(): boolean {
    return this.#end.up && !this.#end.attachment.lease.ended;
  }

  get leaseEndsMs(): number {
    return this.#end.attachment.lease.endsMs;
  }

  /** How far its ds's wall clock is ahead of ours; undefined: it has not said. */
  get wallOffsetMs(): number | undefined {
    const { known, offsetMs } = this.#end.attachment.wallOffset;
    return known ? offsetMs : undefined;
  }

  /** Nothing lives on it, and nothing waits in it that another ds could answer. */
  get idle(): boolean {
    const { calls, publishes } = this.#end.pending;
    return this.sessions === 0 && calls.count === 0 && publishes.count === 0;
  }

  get waitingBytes(): number {
    return this.#end.waitingBytes;
  }

  get unacknowledgedFrames(): number {
    return this.#end.unacknowledgedFrames;
  }

  get unansweredCalls(): number {
    return this.#end.unansweredCalls;
  }

  get unansweredPublishes(): number {
    return this.#end.unansweredPublishes;
  }

  start(): void {
    this.#end.start();
  }

  /** Another address of its ds, or another ds. */
  turnTo(node: DsNode): void {
    this.#directory.turnTo(node);
  }

  rejectReads(reason: string): void {
    this.#end.pending.reads.rejectAll(reason);
  }

  stopWaiting(): void {
    clearTimeout(this.awayTimer);
    this.awayTimer = undefined;
    this.late = false;
  }

  /** `goesOn`: the node does, with other lanes. */
  leave(goesOn: boolean): Promise<void> {
    this.stopWaiting();
    return this.#end.leave(goesOn);
  }
}

/** The node as one lane shows it to its ds: with the sessions of that lane alone. */
class LaneNode implements LinkedNode {
  readonly node: NodeId;
  readonly #whole: LinkedNode;
  readonly #owner: LaneOwner;
  readonly #ofLane: (session: SessionHandle) => boolean;

  constructor(lane: Lane, whole: LinkedNode, owner: LaneOwner) {
    this.node = laneNode(whole.node, lane.name);
    this.#whole = whole;
    this.#owner = owner;
    this.#ofLane = (session) => owner.has(lane, session);
  }

  present(): SessionsToPresent {
    return this.#whole.present(this.#ofLane);
  }

  presented(refusals: Refusal[]): void {
    this.#whole.presented(refusals, this.#ofLane);
  }

  linkChanged(): void {
    this.#owner.changed();
  }

  published(batch: Publish[]): void {
    this.#whole.published(batch);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.#whole.refused(session, reasonCode);
  }

  push(batch: Message[]): void {
    this.#whole.push(batch);
  }

  assign(batch: Assignment[]): void {
    this.#whole.assign(batch);
  }

  fence(fence: GroupFence): void {
    this.#whole.fence(fence);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.#whole.kick(session, reasonCode);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.#whole.rights(session, rights);
  }

  behind(places: QueueEnd[]): void {
    this.#whole.behind(places);
  }
}
