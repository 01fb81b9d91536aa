import { randomUUID } from 'node:crypto';
import type { Link, LinkedNode, LinkServer } from '@lmqtt/proto/link';
import { FirstAttachment } from './first-attachment.ts';
import { checkHeader, LinkEnd } from './link-end.ts';
import type { LinkEndOptions } from './link-end.ts';

type RemoteLinkOptions = Omit<LinkEndOptions, 'instance' | 'first'>;

/** The link of one node to a ds in another process. */
export class RemoteLinkServer implements LinkServer {
  readonly #options: LinkEndOptions;
  readonly #first: FirstAttachment;
  #end: LinkEnd | undefined = undefined;

  /** Throws SettingsError where the secret cannot be sent. */
  constructor(options: RemoteLinkOptions) {
    const { clusterSecret, leaseMs } = options.settings;
    checkHeader('CLUSTER_SECRET', clusterSecret ?? '');
    this.#first = new FirstAttachment(options.clock, leaseMs);
    this.#options = { ...options, instance: randomUUID(), first: this.#first };
  }

  /**
   * Resolves when ds has answered what was presented first. Rejects with LinkRefused where it
   * refused this node before; afterwards refusals are logged, and ds is asked again.
   */
  get whenAttached(): Promise<void> {
    return this.#first.came;
  }

  /** How far the wall clock of ds is ahead of ours; 0 until it has said. */
  get wallOffsetMs(): number {
    return this.#end?.attachment.wallOffset.offsetMs ?? 0;
  }

  /** Begins to connect when the current turn has ended. */
  attach(node: LinkedNode): Link {
    if (this.#end !== undefined) throw new Error('a link is for one node');
    const end = new LinkEnd(this.#options, node);
    this.#end = end;
    this.#options.events.watch(end);
    setImmediate(() => end.start());
    return end.link;
  }

  async detach(): Promise<void> {
    await this.#end?.leave(false);
  }
}
