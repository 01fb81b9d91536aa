import type { ClientId, SessionHandle } from '@lmqtt/common/ids';
import type { LinkedNode } from '@lmqtt/proto/link';
import { sameAddress } from './directory.ts';
import type { Directory, DsNode } from './directory.ts';
import { chosen } from './lane-choice.ts';
import type { ClusterEvents, LaneFigures, MoveReason } from './lane-events.ts';
import { Lane } from './lane.ts';
import type { LaneOwner } from './lane.ts';
import type { LinkEndOptions } from './link-end.ts';

/** A lane that nothing lives on may still wait for answers: looked at again after so long. */
const againMs = 1000;

interface LanesOptions {
  readonly directory: Directory;
  readonly events: ClusterEvents;
  readonly end: Omit<LinkEndOptions, 'directory' | 'events'>;
  /** How long a ds may be away before its sessions go to another one. */
  readonly awayMs: number;
  /** Called when the lanes, or those of them that are usable, may have changed. */
  readonly onChange: () => void;
}

/**
 * The lanes of this node, and which session lives on which.
 *
 * Invariants
 * - Each ds of the directory is home to one lane, whose sessions are those of the clients that
 *   belong there. Where its lane has gone elsewhere, it gets another one: pushes come from any ds.
 * - A lane goes to another ds when its own has left the directory or drains, or has been of no use
 *   for `awayMs`, and only to one that is of use. It stays there: a client's ds changes no more
 *   often than that.
 * - A lane with nothing on it is closed where it is not at home.
 */
export class Lanes implements LaneOwner {
  readonly bySession: Map<SessionHandle, Lane> = new Map();
  /** The homes that clients and reads may go to, by the order of the directory. */
  usable: readonly Lane[] = [];
  readonly #options: LanesOptions;
  readonly #node: LinkedNode;
  readonly #all: Set<Lane> = new Set();
  readonly #homes: Map<string, Lane> = new Map();
  #leaseFloorMs = 0;
  #looking: NodeJS.Immediate | undefined = undefined;
  #againTimer: NodeJS.Timeout | undefined = undefined;
  readonly #forgetDirectory: () => void;
  #stopped = false;

  constructor(options: LanesOptions, node: LinkedNode) {
    this.#options = options;
    this.#node = node;
    this.#forgetDirectory = options.directory.onChange(() => this.#lookSoon());
    this.#open();
    options.events.watchLanes(() => this.#figures());
  }

  [Symbol.iterator](): IterableIterator<Lane> {
    return this.#all.values();
  }

  /** By the monotonic clock. A lane that was closed has renewed the lease of the node as well. */
  get leaseEndsMs(): number {
    let endsMs = this.#leaseFloorMs;
    for (const lane of this.#all) endsMs = Math.max(endsMs, lane.leaseEndsMs);
    return endsMs;
  }

  /** Every ds of the directory can be reached. */
  get complete(): boolean {
    const nodes = this.#options.directory.nodes();
    return nodes.length > 0 && nodes.every(({ id }) => this.#homes.get(id)?.up === true);
  }

  // Sessions

  /** The lane to which a client belongs; undefined: no ds is of use now. */
  forClient(client: ClientId): Lane | undefined {
    return chosen(client, this.usable, ({ at }) => at.id);
  }

  put(session: SessionHandle, lane: Lane): void {
    this.forget(session);
    this.bySession.set(session, lane);
    lane.sessions += 1;
  }

  forget(session: SessionHandle): void {
    const lane = this.bySession.get(session);
    if (lane === undefined) return;
    this.bySession.delete(session);
    lane.sessions -= 1;
    if (lane.sessions === 0 && this.#homes.get(lane.at.id) !== lane) this.#lookSoon();
  }

  has(lane: Lane, session: SessionHandle): boolean {
    return this.bySession.get(session) === lane;
  }

  // Lanes

  changed(): void {
    this.#findUsable();
    if (this.usable.length > 0) {
      // Whoever waits asks another ds.
      for (const each of this.#all) if (!each.usable) each.rejectReads('ds is away');
    }
    this.#lookSoon();
    this.#options.onChange();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forgetDirectory();
    clearImmediate(this.#looking);
    clearTimeout(this.#againTimer);
    await Promise.all([...this.#all].map((lane) => lane.leave(false)));
    this.usable = [];
  }

  *#figures(): Iterable<readonly [string, LaneFigures]> {
    for (const lane of this.#all) yield [lane.name, lane];
  }

  /** Not from within what a lane is just doing. */
  #lookSoon(): void {
    if (this.#looking !== undefined || this.#stopped) return;
    this.#looking = setImmediate(() => {
      this.#looking = undefined;
      this.#look();
    });
  }

  /** Brings the lanes to what the directory says and to who can be reached. */
  #look(): void {
    const nodes = new Map(this.#options.directory.nodes().map((node) => [node.id, node]));
    // A cluster without any ds is one that nothing is known of.
    if (nodes.size === 0) return;
    for (const lane of this.#all) {
      const node = nodes.get(lane.at.id);
      if (node === undefined || node === lane.at) continue;
      if (sameAddress(node, lane.at) && node.draining === lane.at.draining) continue;
      lane.turnTo(node);
    }
    this.#findUsable();
    for (const lane of [...this.#all]) this.#place(lane, nodes);
    this.#open();
    this.#findUsable();
    for (const lane of this.#all) this.#watch(lane);
    this.#options.onChange();
  }

  #place(lane: Lane, nodes: ReadonlyMap<string, DsNode>): void {
    const { at } = lane;
    const here = nodes.get(at.id);
    const home = this.#homes.get(at.id) === lane;
    if (lane.idle) {
      if (!home || here === undefined) this.#close(lane);
      return;
    }
    if (lane.sessions === 0 && !home) this.#lookAgain();
    const reason = reasonToMove(lane, here);
    if (reason === undefined) return;
    const to = this.#choiceFor(lane);
    if (to === undefined) return;
    this.#options.events.laneMoves(lane.name, at, to.at, reason, lane.sessions);
    if (home) this.#homes.delete(at.id);
    lane.stopWaiting();
    lane.turnTo(to.at);
  }

  #choiceFor(lane: Lane): Lane | undefined {
    const others = this.usable.filter(({ at }) => at.id !== lane.at.id);
    return chosen(lane.name, others, ({ at }) => at.id);
  }

  /** From when there is somewhere to go, a lane of no use waits for its ds so long. */
  #watch(lane: Lane): void {
    if (lane.usable || lane.idle || this.#choiceFor(lane) === undefined) {
      lane.stopWaiting();
      return;
    }
    if (lane.awayTimer !== undefined || lane.late) return;
    lane.awayTimer = setTimeout(() => {
      lane.awayTimer = undefined;
      lane.late = true;
      this.#lookSoon();
    }, this.#options.awayMs);
  }

  /** Each ds without a lane of its own gets one. */
  #open(): void {
    const { events, end, directory } = this.#options;
    for (const node of directory.nodes()) {
      if (this.#homes.has(node.id)) continue;
      const name = this.#nameFor(node.id);
      const options = { ...end, events: events.lane(name) };
      const lane = new Lane(name, node, options, this.#node, this);
      this.#homes.set(node.id, lane);
      this.#all.add(lane);
      events.laneOpened(name, node);
      setImmediate(() => {
        if (this.#all.has(lane) && !this.#stopped) lane.start();
      });
    }
  }

  #nameFor(id: string): string {
    const taken = new Set([...this.#all].map(({ name }) => name));
    let name = id;
    for (let number = 2; taken.has(name); number++) name = `${id}~${number}`;
    return name;
  }

  #close(lane: Lane): void {
    const { id } = lane.at;
    this.#all.delete(lane);
    if (this.#homes.get(id) === lane) this.#homes.delete(id);
    this.#leaseFloorMs = Math.max(this.#leaseFloorMs, lane.leaseEndsMs);
    this.#options.events.laneClosed(lane.name, lane.at);
    void lane.leave(true);
  }

  #lookAgain(): void {
    clearTimeout(this.#againTimer);
    this.#againTimer = setTimeout(() => this.#lookSoon(), againMs);
  }

  #findUsable(): void {
    const usable: Lane[] = [];
    for (const lane of this.#homes.values())
      if (lane.usable && !lane.at.draining) usable.push(lane);
    this.usable = usable;
  }
}

function reasonToMove(lane: Lane, here: DsNode | undefined): MoveReason | undefined {
  if (here === undefined) return 'gone';
  if (here.draining) return 'draining';
  return lane.late ? 'unreachable' : undefined;
}
