import type { Clock } from '@lmqtt/common/clock';
import { exchangeMethod, metadataNames, pulsesMethod } from '@lmqtt/proto/dispatch';
import { Exchange } from '@lmqtt/proto/wire/exchange';
import type { ExchangeLimits, FrameTaker } from '@lmqtt/proto/wire/exchange';
import type { Pulse, Renewed, Welcome } from '@lmqtt/proto/wire/pulse';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import type { WireReader } from '@lmqtt/proto/wire/wire-reader';
import { sameAddress } from './directory.ts';
import type { Directory, DsAddress } from './directory.ts';
import { DsStream } from './ds-stream.ts';
import type { StreamEnd, StreamTaker } from './ds-stream.ts';
import { Lease } from './lease.ts';
import type { LinkEvents } from './link-events.ts';
import { PulseLine } from './pulse-line.ts';
import { Renewal } from './renewal.ts';
import type { StreamTls } from './stream-credentials.ts';
import { WallOffset } from './wall-offset.ts';

/** A black hole is noticed after so long. */
const connectTimeoutMs = 2000;
const backoffMsMin = 50;
const backoffMsMax = 500;

interface AttachmentOptions {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly events: LinkEvents;
  readonly limits: ExchangeLimits;
  readonly tls: StreamTls;
  /** Metadata of every stream: the identity of this node. */
  readonly metadata: Readonly<Record<string, string>>;
  counters(): Readonly<Record<string, number>>;
  connections(): number;
  readonly drain: DrainedNode | undefined;
}

/** The node as operators drain it by way of its ds. */
export interface DrainedNode {
  readonly draining: boolean;
  /** An operator wishes that it drains, or no more; said again until it is so. */
  wished(draining: boolean): void;
}

interface AttachmentOwner {
  /** This ds does not know us: the sessions are to be written, then `presented` is called. */
  begin(address: DsAddress): void;
  item(reader: WireReader, field: number, end: number): void;
  leaseEnded(): void;
  /** `up` has changed, or the lease has ended or begun again. */
  changed(): void;
  /** ds said no before it ever said yes; false: it is asked again. */
  refused(end: StreamEnd): boolean;
}

/**
 * This node's tie to a ds: one conversation over as many streams as it takes. A stream that breaks
 * is opened again and the conversation goes on where it was; where ds has forgotten it, a new one
 * begins, in which the sessions are presented first.
 */
export class Attachment implements FrameTaker {
  readonly exchange: Exchange;
  readonly lease: Lease;
  readonly wallOffset: WallOffset = new WallOffset();
  readonly #options: AttachmentOptions;
  readonly #owner: AttachmentOwner;
  readonly #renewal: Renewal;
  readonly #pulseLine: PulseLine;
  readonly #forgetDirectory: () => void;
  /** As ds named it; undefined: there is nothing to take up again. */
  #id: string | undefined = undefined;
  #known = false;
  /** ds has welcomed the stream. */
  #open = false;
  #address: DsAddress | undefined = undefined;
  #stream: DsStream | undefined = undefined;
  /** When the stream brought a frame last. */
  #heardMs = 0;
  /** Whether pushes wait for the link, as ds said with its last answer. */
  #late = false;
  #attempts = 0;
  #backoffMs = backoffMsMin;
  #retryTimer: NodeJS.Timeout | undefined = undefined;
  #leaseTimer: NodeJS.Timeout | undefined = undefined;
  #toldUp = false;
  #toldLeased = false;
  #stopped = false;

  constructor(options: AttachmentOptions, owner: AttachmentOwner) {
    const { clock, limits, directory } = options;
    this.#options = options;
    this.#owner = owner;
    this.exchange = new Exchange(limits, this);
    this.lease = new Lease(clock);
    this.#renewal = new Renewal(clock, this.lease, this.wallOffset, {
      send: (renew) => {
        this.#pulseLine.send(renew);
        this.exchange.pulse({ renew });
      },
      heardMs: () => this.#heardMs,
      stalled: (silentMs) => this.#broken(`nothing was heard for ${silentMs} ms`),
      counters: () => options.counters(),
      connections: () => options.connections(),
      draining: () => options.drain?.draining ?? false,
    });
    this.#pulseLine = new PulseLine(clock, {
      open: (attachment, taker) => this.#openPulses(attachment, taker),
      renewed: (renewed) => this.#renewed(renewed),
    });
    this.#forgetDirectory = directory.onChange(() => this.#directoryChanged());
  }

  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#forgetDirectory();
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#leaseTimer);
    this.#renewal.stop();
    this.#pulseLine.stop();
    this.#stream?.close();
    this.#stream = undefined;
    this.#open = false;
    this.exchange.unbind();
  }

  /**
   * ds knows our sessions: what is written reaches it, over this stream or one that takes it up.
   */
  get presented(): boolean {
    return this.#known;
  }

  get up(): boolean {
    return this.#known && this.#open;
  }

  /** Whether pushes of ds wait for the link, so that one that has not come need not be lost. */
  get pushesWait(): boolean {
    return this.#late && this.#open;
  }

  /** ds has answered what was presented; what is written from now on follows. */
  began(): void {
    this.notice();
    this.#known = true;
    this.#backoffMs = backoffMsMin;
    this.lease.begin();
  }

  /** Tells what has changed, and no more than that. */
  notice(): void {
    const { up } = this;
    const leased = !this.lease.ended;
    clearTimeout(this.#leaseTimer);
    if (leased && !this.#stopped) {
      const leftMs = this.lease.endsMs - this.#options.clock.monotonicMs();
      this.#leaseTimer = setTimeout(() => this.notice(), Math.max(1, Math.ceil(leftMs)));
    }
    if (up === this.#toldUp && leased === this.#toldLeased) return;
    const before = this.#toldLeased;
    this.#toldUp = up;
    this.#toldLeased = leased;
    if (before && !leased) {
      this.#options.events.leaseEnded();
      this.#owner.leaseEnded();
    }
    if (!before && leased) this.#options.events.leaseBegan();
    this.#owner.changed();
  }

  // Streams

  #connect(): void {
    if (this.#stopped || this.#stream !== undefined) return;
    const { directory, tls, metadata } = this.#options;
    const nodes = directory.nodes();
    const address = nodes[this.#attempts % nodes.length];
    this.#attempts += 1;
    if (address === undefined) {
      this.#failed({ refusal: undefined, reason: 'no ds is known' });
      return;
    }
    this.#address = address;
    this.lease.opening();
    try {
      const stream: DsStream = new DsStream(
        {
          method: exchangeMethod,
          address,
          tls,
          metadata: { ...metadata, ...this.#resumption() },
          connectTimeoutMs,
        },
        {
          frame: (frame) => this.#arrived(stream, frame),
          ended: (end) => this.#ended(end),
        },
      );
      this.#stream = stream;
      this.exchange.bind((frame) => stream.send(frame));
    } catch (error) {
      this.#failed({ refusal: undefined, reason: String(error) });
    }
  }

  #openPulses(attachment: string, taker: StreamTaker): DsStream {
    const { tls, metadata } = this.#options;
    return new DsStream(
      {
        method: pulsesMethod,
        address: this.#address!,
        tls,
        metadata: { ...metadata, [metadataNames.attachment]: attachment },
        connectTimeoutMs,
      },
      taker,
    );
  }

  #resumption(): Record<string, string> {
    if (this.#id === undefined) return {};
    const { attachment, received } = metadataNames;
    return { [attachment]: this.#id, [received]: String(this.exchange.received) };
  }

  #arrived(stream: DsStream, frame: Buffer): void {
    const { exchange } = this;
    const { received } = exchange;
    this.#heardMs = this.#options.clock.monotonicMs();
    let whole = true;
    try {
      whole = exchange.receive(frame);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      // A part of it was taken: it cannot be sent again.
      if (exchange.received !== received) this.#id = undefined;
      if (this.#stream === stream) this.#broken(`garbage from ds: ${error.message}`);
      return;
    }
    if (!whole && this.#stream === stream) this.#broken('a frame from ds is missing');
  }

  #broken(reason: string): void {
    this.#stream?.close();
    this.#ended({ refusal: undefined, reason });
  }

  #ended(end: StreamEnd): void {
    const wasOpen = this.#open;
    this.#stream = undefined;
    this.#open = false;
    this.exchange.unbind();
    this.#renewal.stop();
    this.#pulseLine.stop();
    if (wasOpen && end.refusal === undefined) this.#options.events.broken(end);
    if (wasOpen && end.refusal === undefined) this.#retry();
    else this.#failed(end);
    this.notice();
  }

  /** The stream did not come about. */
  #failed(end: StreamEnd): void {
    this.#options.events.failed(end);
    if (end.refusal !== undefined && this.#owner.refused(end)) this.stop();
    else this.#retry();
  }

  #retry(): void {
    if (this.#stopped) return;
    // Not all nodes of a cluster at the same moment.
    const delayMs = this.#backoffMs * (0.75 + Math.random() / 4);
    this.#backoffMs = Math.min(this.#backoffMs * 2, backoffMsMax);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#connect(), delayMs);
  }

  #directoryChanged(): void {
    const address = this.#address;
    const nodes = this.#options.directory.nodes();
    if (address !== undefined && nodes.some((node) => sameAddress(node, address))) return;
    this.#backoffMs = backoffMsMin;
    if (this.#stream !== undefined) this.#broken('the directory has another ds');
    else if (this.#retryTimer !== undefined) this.#retry();
  }

  // Items that arrive

  item(reader: WireReader, field: number, end: number): void {
    this.#owner.item(reader, field, end);
  }

  pulse({ welcome, renewed }: Pulse): void {
    if (welcome !== undefined) this.#welcomed(welcome);
    if (renewed !== undefined) this.#renewed(renewed);
  }

  #renewed(renewed: Renewed): void {
    // A lease that has ended meanwhile without anybody being told has ended for all who checked it.
    this.notice();
    this.#late = renewed.pushesWait;
    if (renewed.drain !== undefined) this.#options.drain?.wished(renewed.drain);
    this.#renewal.renewed(renewed);
    this.notice();
  }

  #welcomed({ attachment, resumed, received, leaseMs }: Welcome): void {
    const { exchange } = this;
    const address = this.#address;
    if (address === undefined || this.#open) throw new WireError('a welcome out of place');
    if (resumed && attachment !== this.#id) throw new WireError('another attachment is taken up');
    if (!(leaseMs > 0)) throw new WireError('a lease without length');
    this.notice();
    this.#open = true;
    this.#id = attachment;
    this.lease.welcomed(leaseMs, resumed);
    exchange.leaseMs = leaseMs;
    if (resumed) {
      this.#backoffMs = backoffMsMin;
      this.#options.events.resumed(address);
      exchange.resume(received);
    } else {
      this.#known = false;
      exchange.reset();
      exchange.resume(0);
      this.#owner.begin(address);
    }
    this.#pulseLine.start(attachment, leaseMs);
    this.#renewal.start(leaseMs);
    this.notice();
  }
}
