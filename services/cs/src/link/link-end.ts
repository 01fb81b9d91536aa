import type { Clock } from '@lmqtt/common/clock';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { frameBytesMax, metadataNames, protocolVersion } from '@lmqtt/proto/dispatch';
import type { LinkedNode } from '@lmqtt/proto/link';
import { readDownstream } from '@lmqtt/proto/wire/downstream-reader';
import { Attachment, type DrainedNode } from './attachment.ts';
import type { Directory } from './directory.ts';
import type { FirstAttachment } from './first-attachment.ts';
import { LinkArrivals } from './link-arrivals.ts';
import type { LinkEvents, LinkFigures } from './link-events.ts';
import { NodeLink } from './node-link.ts';
import { Pending } from './pending.ts';
import { Presenting } from './presenting.ts';
import { PublishOrder } from './publish-order.ts';

/** How long a link that ends before its node does waits for ds. */
const leaveTimeoutMs = 3000;

/** Settings that the link reads. */
export type LinkSettings = Pick<
  Settings,
  | 'clusterSecret'
  | 'leaseMs'
  | 'linkBufferBytesMax'
  | 'linkWindowBytesMax'
  | 'linkWindowFrames'
  | 'rpcTlsCa'
  | 'rpcTlsCert'
  | 'rpcTlsKey'
  | 'stopTimeoutMs'
>;

export interface AboutNode {
  readonly version: string;
  /** Address at which clients reach it. */
  readonly address: string;
  /** Wall clock. */
  readonly startedAtMs: number;
}

export interface LinkEndOptions {
  readonly settings: LinkSettings;
  readonly directory: Directory;
  /** The system's: what ds's clock is compared with. */
  readonly clock: Clock;
  readonly events: LinkEvents;
  /** Figures since the start for `$SYS`, by the rest of their topic. */
  readonly counters: () => Readonly<Record<string, number>>;
  readonly connections: () => number;
  /** Instance of this process. */
  readonly instance: string;
  /** For operators. */
  readonly about: AboutNode;
  readonly drain?: DrainedNode | undefined;
  readonly first: FirstAttachment;
}

/**
 * This end of the link to one ds at a time: the conversation, what waits in it, and how the node's
 * sessions are presented. Throws {@link SettingsError} where a header cannot be sent.
 */
export class LinkEnd implements LinkFigures {
  readonly attachment: Attachment;
  readonly pending: Pending = new Pending();
  readonly link: NodeLink;
  #onDown: () => void = () => {};
  readonly #stopWaitMs: number;

  constructor(options: LinkEndOptions, node: LinkedNode) {
    const { settings, directory, clock, events, counters, connections } = options;
    const { instance, about, first } = options;
    const { pending } = this;
    checkHeader('CLUSTER_SECRET', settings.clusterSecret ?? '');
    checkHeader('NODE_ID', node.node);
    const attachment = new Attachment(
      {
        directory,
        clock,
        events,
        limits: {
          windowFrames: settings.linkWindowFrames,
          windowBytesMax: settings.linkWindowBytesMax,
          frameBytesMax,
        },
        tls: {
          certificate: settings.rpcTlsCert,
          key: settings.rpcTlsKey,
          authorities: settings.rpcTlsCa,
        },
        metadata: {
          [metadataNames.protocol]: String(protocolVersion),
          [metadataNames.secret]: settings.clusterSecret ?? '',
          [metadataNames.node]: node.node,
          [metadataNames.instance]: instance,
          [metadataNames.version]: about.version,
          [metadataNames.address]: about.address,
          [metadataNames.started]: String(about.startedAtMs),
        },
        counters,
        connections,
        drain: options.drain,
      },
      {
        begin: (address) => presenting.begin(address),
        item: (reader, field, end) => readDownstream(arrivals, reader, field, end),
        leaseEnded: () => link.leaseEnded(),
        changed: () => {
          if (!attachment.up) this.#onDown();
          node.linkChanged();
        },
        refused: (end) => first.refused(end),
      },
    );
    const order = new PublishOrder(attachment.exchange);
    const presenting = new Presenting(node, attachment, pending, order, events);
    const arrivals = new LinkArrivals(node, pending, events, (refusals) => {
      presenting.answered(refusals);
      first.succeeded();
    });
    const { linkBufferBytesMax } = settings;
    const link = new NodeLink(attachment, pending, order, events, linkBufferBytesMax, (batch) =>
      node.published(batch),
    );
    this.attachment = attachment;
    this.link = link;
    // The other half is for what comes after it.
    this.#stopWaitMs = settings.stopTimeoutMs / 2;
  }

  get up(): boolean {
    return this.attachment.up;
  }

  get waitingBytes(): number {
    return this.attachment.exchange.waitingBytes;
  }

  get unacknowledgedFrames(): number {
    return this.attachment.exchange.unacknowledgedFrames;
  }

  get unansweredCalls(): number {
    return this.pending.calls.count + this.pending.reads.count;
  }

  get unansweredPublishes(): number {
    return this.pending.publishes.count;
  }

  start(): void {
    this.attachment.start();
  }

  /**
   * Tells ds, waits a little for its answer while there is a stream, and closes it. `goesOn`: the
   * node does, with other links.
   */
  async leave(goesOn: boolean): Promise<void> {
    if (this.attachment.up) await this.#sayGoodbye(goesOn);
    this.close();
  }

  close(): void {
    this.attachment.stop();
    this.link.close();
  }

  /** A ds that does not hear of it learns it from the end of the lease. */
  #sayGoodbye(goesOn: boolean): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, goesOn ? leaveTimeoutMs : this.#stopWaitMs);
      this.#onDown = resolve;
      void this.link
        .leave(goesOn)
        .catch(() => {})
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
  }
}

/** The metadata of a stream are sent as headers of HTTP. */
export function checkHeader(setting: string, value: string): void {
  if (value === '' || /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return;
  throw new SettingsError(`${setting} must be printable ASCII, without spaces at its ends`);
}
