import { randomUUID } from 'node:crypto';
import type { Clock } from '@lmqtt/common/clock';
import type { NodeId } from '@lmqtt/common/ids';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import { frameBytesMax, metadataNames, protocolVersion } from '@lmqtt/proto/dispatch';
import type { Link, LinkedNode, LinkServer } from '@lmqtt/proto/link';
import { readDownstream } from '@lmqtt/proto/wire/downstream-reader';
import { Attachment } from './attachment.ts';
import type { Directory } from './directory.ts';
import type { StreamEnd } from './ds-stream.ts';
import { LinkArrivals } from './link-arrivals.ts';
import type { LinkEvents } from './link-events.ts';
import { NodeLink } from './node-link.ts';
import { Pending } from './pending.ts';
import { Presenting } from './presenting.ts';

/** How long a planned stop waits for ds. */
const leaveTimeoutMs = 3000;

/** What the link reads of the settings. */
export type LinkSettings = Pick<
  Settings,
  | 'clusterSecret'
  | 'leaseMs'
  | 'linkBufferBytesMax'
  | 'linkWindowFrames'
  | 'rpcTlsCa'
  | 'rpcTlsCert'
  | 'rpcTlsKey'
>;

export interface RemoteLinkOptions {
  readonly settings: LinkSettings;
  readonly directory: Directory;
  /** The system's: what ds's clock is compared with. */
  readonly clock: Clock;
  readonly events: LinkEvents;
  /** Figures since the start for `$SYS`, by the rest of their topic. */
  readonly counters: () => Readonly<Record<string, number>>;
  readonly connections: () => number;
}

/** ds will not have this node: one sentence for whoever started it. */
export class LinkRefused extends Error {
  override readonly name: string = 'LinkRefused';
}

/** The link of one node to a ds in another process. */
export class RemoteLinkServer implements LinkServer {
  /**
   * Resolves when ds has answered what was presented first. Rejects with {@link LinkRefused} where
   * it refused this node before; afterwards refusals are logged, and ds is asked again.
   */
  readonly whenAttached: Promise<void>;
  private readonly options: RemoteLinkOptions;
  private readonly instance: string = randomUUID();
  private attachment: Attachment | undefined = undefined;
  private link: NodeLink | undefined = undefined;
  private resolveAttached: () => void = () => {};
  private rejectAttached: (error: Error) => void = () => {};
  private everAttached = false;
  private onDown: () => void = () => {};
  private inUseSinceMs: number | undefined = undefined;

  /** Throws {@link SettingsError} where the secret cannot be sent. */
  constructor(options: RemoteLinkOptions) {
    this.options = options;
    checkHeader('CLUSTER_SECRET', options.settings.clusterSecret ?? '');
    this.whenAttached = new Promise((resolve, reject) => {
      this.resolveAttached = resolve;
      this.rejectAttached = reject;
    });
    // Whoever does not wait for it is not to fall over it.
    this.whenAttached.catch(() => {});
  }

  /** How far the wall clock of ds is ahead of ours; 0 until it has said. */
  get wallOffsetMs(): number {
    return this.attachment?.wallOffset.offsetMs ?? 0;
  }

  /** Begins to connect when the current turn has ended. */
  attach(node: LinkedNode): Link {
    if (this.attachment !== undefined) throw new Error('a link is for one node');
    const { settings, directory, clock, events, counters, connections } = this.options;
    const pending = new Pending();
    const attachment = new Attachment(
      {
        directory,
        clock,
        events,
        limits: { windowFrames: settings.linkWindowFrames, frameBytesMax },
        tls: {
          certificate: settings.rpcTlsCert,
          key: settings.rpcTlsKey,
          authorities: settings.rpcTlsCa,
        },
        metadata: this.metadataOf(node.node),
        counters,
        connections,
      },
      {
        begin: (address) => presenting.begin(address),
        item: (reader, field, end) => readDownstream(arrivals, reader, field, end),
        leaseEnded: () => link.leaseEnded(),
        changed: () => {
          if (!attachment.up) this.onDown();
          node.linkChanged();
        },
        refused: (end) => this.refused(end),
      },
    );
    const presenting = new Presenting(node, attachment, pending, events);
    const arrivals = new LinkArrivals(node, pending, (refusals) => {
      presenting.answered(refusals);
      this.everAttached = true;
      this.resolveAttached();
    });
    const link = new NodeLink(attachment, pending, events, settings.linkBufferBytesMax, (batch) =>
      node.published(batch),
    );
    this.attachment = attachment;
    this.link = link;
    events.watch({
      get up() {
        return attachment.up;
      },
      get waitingBytes() {
        return attachment.exchange.waitingBytes;
      },
      get unacknowledgedFrames() {
        return attachment.exchange.unacknowledgedFrames;
      },
      get unansweredCalls() {
        return pending.calls.count + pending.reads.count;
      },
      get unansweredPublishes() {
        return pending.publishes.count;
      },
    });
    setImmediate(() => attachment.start());
    return link;
  }

  /** Tells ds, waits a little for its answer while there is a stream, and closes it. */
  async detach(): Promise<void> {
    const { attachment, link } = this;
    if (attachment === undefined || link === undefined) return;
    if (attachment.up) await this.leave(link);
    attachment.stop();
    link.close();
  }

  /** Where ds does not hear of it, the lease tells it in the end. */
  private leave(link: NodeLink): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, leaveTimeoutMs);
      this.onDown = resolve;
      void link
        .leave()
        .catch(() => {})
        .finally(() => {
          clearTimeout(timer);
          resolve();
        });
    });
  }

  private metadataOf(node: NodeId): Record<string, string> {
    checkHeader('NODE_ID', node);
    const { clusterSecret } = this.options.settings;
    return {
      [metadataNames.protocol]: String(protocolVersion),
      [metadataNames.secret]: clusterSecret ?? '',
      [metadataNames.node]: node,
      [metadataNames.instance]: this.instance,
    };
  }

  /**
   * Before the first attachment: for good, but for a node id in use, which may be this node's own
   * life before, whose lease still runs.
   */
  private refused({ refusal, reason }: StreamEnd): boolean {
    if (this.everAttached) return false;
    if (refusal === 'node in use') {
      const nowMs = this.options.clock.monotonicMs();
      this.inUseSinceMs ??= nowMs;
      if (nowMs - this.inUseSinceMs < 2 * this.options.settings.leaseMs) return false;
    }
    this.rejectAttached(new LinkRefused(`ds refused this node: ${reason}`));
    return true;
  }
}

/** What is sent with a stream is sent as a header of HTTP. */
function checkHeader(setting: string, value: string): void {
  if (value === '' || /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return;
  throw new SettingsError(`${setting} must be printable ASCII, without spaces at its ends`);
}
