import { randomUUID } from 'node:crypto';
import { csOfLane } from '@lmqtt/common/ids';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Link, LinkedNode, LinkServer } from '@lmqtt/proto/link';
import { FirstAttachment } from './first-attachment.ts';
import type { ClusterEvents } from './lane-events.ts';
import { LaneRouter } from './lane-router.ts';
import { Lanes } from './lanes.ts';
import { checkHeader } from './link-end.ts';
import type { LinkEndOptions } from './link-end.ts';

/** A ds that is away for longer, though the directory has it, loses its sessions to others. */
const awayMsUnlessTold = 5000;

interface ClusterLinkOptions extends Omit<LinkEndOptions, 'instance' | 'first' | 'events'> {
  readonly events: ClusterEvents;
  readonly awayMs?: number;
}

/**
 * The link of one node to every ds of a cluster. The lease is the node's, renewed through any of
 * them: it ends when the last one has ended.
 */
export class ClusterLinkServer implements LinkServer {
  /**
   * Resolves when a ds has taken this node in, and the others have or had a lease for it. Those are
   * all that had joined before; a ds that joins later waits for this node. Rejects with LinkRefused
   * where one refused it before any took it in.
   */
  readonly whenAttached: Promise<void>;
  readonly #options: ClusterLinkOptions;
  readonly #first: FirstAttachment;
  readonly #instance: string = randomUUID();
  #lanes: Lanes | undefined = undefined;
  #link: Link | undefined = undefined;
  #onComplete: () => void = () => {};
  #onDetach: () => void = () => {};
  #lastOffsetMs = 0;
  #toldUp = false;
  #toldLeased = false;

  /** Throws SettingsError where the secret cannot be sent. */
  constructor(options: ClusterLinkOptions) {
    checkHeader('CLUSTER_SECRET', options.settings.clusterSecret ?? '');
    this.#options = options;
    this.#first = new FirstAttachment(options.clock, options.settings.leaseMs);
    this.whenAttached = this.#first.came.then(() => this.#others());
    // Whoever does not wait for it is not to fall over it.
    this.whenAttached.catch(() => {});
  }

  /** How far the wall clock of ds is ahead of ours; 0 until one has said. They differ by little. */
  get wallOffsetMs(): number {
    for (const { wallOffsetMs } of this.#lanes?.usable ?? []) {
      if (wallOffsetMs === undefined) continue;
      this.#lastOffsetMs = wallOffsetMs;
      break;
    }
    return this.#lastOffsetMs;
  }

  /** Begins to connect when the current turn has ended. */
  attach(node: LinkedNode): Link {
    if (this.#lanes !== undefined) throw new Error('a link is for one node');
    if (csOfLane(node.node) !== node.node) throw new SettingsError('NODE_ID must be without an @');
    const { settings, directory, clock, events, counters, connections, awayMs, about, drain } =
      this.#options;
    const instance = this.#instance;
    const first = this.#first;
    const lanes = new Lanes(
      {
        directory,
        events,
        end: { settings, clock, counters, connections, instance, about, drain, first },
        awayMs: awayMs ?? awayMsUnlessTold,
        onChange: () => this.#changed(node),
      },
      node,
    );
    const link = new LaneRouter(lanes, (batch) => node.published(batch));
    this.#lanes = lanes;
    this.#link = link;
    return link;
  }

  async detach(): Promise<void> {
    this.#onDetach();
    await this.#lanes?.stop();
  }

  /** Tells what has changed of all lanes together, and no more than that. */
  #changed(node: LinkedNode): void {
    const lanes = this.#lanes;
    const link = this.#link;
    if (lanes === undefined || link === undefined) return;
    if (lanes.complete) this.#onComplete();
    const { events, clock } = this.#options;
    const { up } = link;
    const leased = clock.monotonicMs() < link.leaseEndsMs;
    if (up === this.#toldUp && leased === this.#toldLeased) return;
    const before = this.#toldLeased;
    this.#toldUp = up;
    this.#toldLeased = leased;
    if (before && !leased) events.leaseEnded();
    if (!before && leased) events.leaseBegan();
    node.linkChanged();
  }

  #others(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#options.settings.leaseMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#onDetach = done;
      const look = (): void => {
        this.#onComplete = done;
        if (this.#lanes?.complete === true) done();
      };
      const { directory } = this.#options;
      if (directory.refresh === undefined) look();
      else directory.refresh().then(look, look);
    });
  }
}
