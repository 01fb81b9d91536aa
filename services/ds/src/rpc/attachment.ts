import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { Clock } from '@lmqtt/common/clock';
import { csOfLane, type NodeId } from '@lmqtt/common/ids';
import { calls } from '@lmqtt/proto/calls';
import type { Link, PresentedSession, Refusal } from '@lmqtt/proto/link';
import { Exchange, type ExchangeLimits, type FrameTaker } from '@lmqtt/proto/wire/exchange';
import { pulseFrame, readPulse } from '@lmqtt/proto/wire/frame';
import type { Pulse, Renew, Renewed } from '@lmqtt/proto/wire/pulse';
import { readUpstream, type UpstreamHandler } from '@lmqtt/proto/wire/upstream';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import type { WireReader } from '@lmqtt/proto/wire/wire-reader';
import { WireWriter } from '@lmqtt/proto/wire/wire-writer';
import type { AboutNode, Admission } from './admission.ts';
import { DownstreamItems } from './downstream-items.ts';
import type { NodeFigures } from './node-figures.ts';
import { PresentingHandler } from './presenting.ts';
import type { RpcEvents } from './rpc-events.ts';
import type { RpcStream } from './rpc-stream.ts';
import { UpstreamItems } from './upstream-items.ts';

export interface AttachmentPorts {
  readonly admission: Admission;
  readonly events: RpcEvents;
  readonly clock: Clock;
  readonly limits: ExchangeLimits;
  readonly waitingBytesMax: number;
  readonly figures: NodeFigures;
  /** Whether the node's name stays taken: its lease is still to be judged. */
  readonly onClosed: (attachment: RpcAttachment, leased: boolean) => void;
}

/**
 * One process of a cs node, over all its streams. It presents its sessions, is admitted, and goes
 * on until its lease is judged or it leaves.
 *
 * Invariants
 * - Once closed nothing of it reaches ds and nothing more goes to it (fencing), whatever streams
 *   and answers are still on their way.
 * - A stream that breaks before all sessions were presented ends it: nothing was promised yet.
 * - A frame of which a part was taken cannot be sent again, so a failure in the midst of one ends
 *   the attachment; its node comes back when its lease has been judged.
 */
export class RpcAttachment implements FrameTaker {
  readonly id: string = randomUUID();
  readonly node: NodeId;
  readonly instance: string;
  readonly #about: AboutNode;
  readonly #ports: AttachmentPorts;
  readonly #exchange: Exchange;
  readonly #down: DownstreamItems;
  #upstream: UpstreamHandler;
  #stream: RpcStream | undefined = undefined;
  /** The stream for renewals, on a TCP connection of its own; undefined while there is none. */
  #pulses: RpcStream | undefined = undefined;
  readonly #pulseWriter = new WireWriter();
  #phase: 'presenting' | 'admitting' | 'admitted' | 'leaving' | 'closed' = 'presenting';
  #address = '';
  #lastRenew: Renew | undefined = undefined;
  /** An operator wishes that the cs drains, or no more, and it has not said that it does. */
  #drainWish: boolean | undefined = undefined;
  #silence: NodeJS.Timeout | undefined = undefined;

  constructor(node: NodeId, instance: string, about: AboutNode, ports: AttachmentPorts) {
    this.node = node;
    this.instance = instance;
    this.#about = about;
    this.#ports = ports;
    this.#exchange = new Exchange(ports.limits, this);
    this.#exchange.leaseMs = ports.admission.leaseMs;
    this.#down = new DownstreamItems(node, this.#exchange, ports.waitingBytesMax, ports.events);
    this.#upstream = new PresentingHandler((sessions) => this.#admit(sessions));
  }

  /** Facts about the node, as it said them of itself. */
  get about(): AboutNode {
    return this.#about;
  }

  get admitted(): boolean {
    return this.#phase === 'admitted';
  }

  /** A stream is open: its cs has not gone to another ds. */
  get isHeard(): boolean {
    return this.#stream !== undefined;
  }

  get closed(): boolean {
    return this.#phase === 'closed';
  }

  get lastRenew(): Renew | undefined {
    return this.#lastRenew;
  }

  /** Told with the answers to its renewals, until it says so itself. */
  drain(draining: boolean): void {
    this.#drainWish = draining;
  }

  get waitingBytes(): number {
    return this.#exchange.waitingBytes;
  }

  get unacknowledgedFrames(): number {
    return this.#exchange.unacknowledgedFrames;
  }

  /**
   * Takes the first stream, or one that replaces the last; `received` frames of ds are at the cs.
   */
  open(stream: RpcStream, resumed: boolean, received: number): void {
    this.#endStream(status.ABORTED, 'this attachment goes on over another stream');
    clearTimeout(this.#silence);
    this.#stream = stream;
    this.#address = stream.address;
    this.#ports.events.streamOpened(this.node, stream.address, resumed);
    const exchange = this.#exchange;
    exchange.bind((frame) => {
      this.#ports.events.frameSent(frame.length);
      stream.send(frame);
    });
    const { leaseMs } = this.#ports.admission;
    exchange.pulse({
      welcome: { attachment: this.id, resumed, received: exchange.received, leaseMs },
    });
    this.#guard(() => exchange.resume(received));
    stream.start({
      frame: (frame) => {
        if (this.#stream === stream) this.#receive(frame);
      },
      closed: () => {
        if (this.#stream === stream) this.#broken();
      },
    });
  }

  /** Renewals come over this stream as well, and are answered where they came. */
  openPulses(stream: RpcStream): void {
    this.#pulses?.end(status.ABORTED, 'renewals go over another stream');
    this.#pulses = stream;
    const answer = (renewed: Renewed): void =>
      stream.send(pulseFrame(this.#pulseWriter, { renewed }));
    stream.start({
      frame: (frame) => {
        try {
          this.#renew(readPulse(frame).renew, answer);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          stream.end(status.INVALID_ARGUMENT, `garbage: ${error.message}`);
        }
      },
      closed: () => {
        if (this.#pulses === stream) this.#pulses = undefined;
      },
    });
  }

  /** Ends it for good; `leased`: ds still counts on its node. */
  close(code: status, why: string, leased = false): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    clearTimeout(this.#silence);
    this.#down.close();
    this.#endStream(code, why);
    this.#pulses?.end(code, why);
    this.#pulses = undefined;
    this.#exchange.reset();
    const { admission, onClosed } = this.#ports;
    const abandons = leased && admission.abandoned !== undefined;
    onClosed(this, leased && !abandons);
    if (abandons) admission.abandoned?.(this.node);
  }

  /** This ds stops; what it has said reaches the cs. */
  stop(): void {
    this.#exchange.hurry();
    this.close(status.UNAVAILABLE, 'ds is stopping');
  }

  /** ds has judged the lease of the node, or has seen it leave. */
  leaseEnded(): void {
    if (this.#phase === 'admitted') this.close(status.ABORTED, leaseEnded);
  }

  pulse({ renew }: Pulse): void {
    this.#renew(renew, (renewed) => this.#exchange.pulse({ renewed }));
  }

  #renew(renew: Renew | undefined, answer: (renewed: Renewed) => void): void {
    if (renew === undefined || this.#phase === 'closed') return;
    const renewed = (unconfirmed: boolean): void => {
      const { number } = renew;
      const pushesWait = this.#exchange.waitingBytes > this.#exchange.windowBytes;
      const timeMs = this.#ports.clock.nowMs();
      answer({ number, timeMs, unconfirmed, pushesWait, drain: this.#drainWish });
    };
    if (this.#drainWish === renew.draining) this.#drainWish = undefined;
    // An older renewal that comes late over the other stream is outdated.
    if (renew.number >= (this.#lastRenew?.number ?? 0)) {
      this.#lastRenew = renew;
      this.#ports.figures.told(this.instance, renew.counters);
    }
    // Before it is admitted, the lease under its name may be that of the process before.
    if (this.#phase !== 'admitted') {
      renewed(false);
      return;
    }
    const judged = (held: boolean): void => {
      if (this.#phase === 'closed') return;
      if (held) renewed(false);
      else if (this.#phase === 'admitted') this.close(status.ABORTED, leaseEnded);
    };
    const { admission, events } = this.#ports;
    const held = admission.renew(this.node, renew.connections, renew.draining);
    if (typeof held === 'boolean') {
      judged(held);
      return;
    }
    held.then(judged, (error: unknown) => {
      if (this.#phase === 'closed') return;
      events.notRenewed(this.node, error);
      renewed(true);
    });
  }

  item(reader: WireReader, field: number, end: number): void {
    // Items of the frame that closed it are not read any more.
    if (this.#phase === 'closed' || this.#phase === 'leaving') return;
    readUpstream(this.#upstream, reader, field, end);
  }

  #receive(frame: Buffer): void {
    this.#ports.events.frameReceived(frame.length);
    this.#guard(() => {
      if (!this.#exchange.receive(frame)) {
        this.#breakStream(status.ABORTED, 'a frame is missing');
        return;
      }
      // Acknowledgements let frames go at the end of this turn.
      if (this.#down.fallenBehind) setImmediate(() => this.#down.roomMade());
    });
  }

  #guard(take: () => void): void {
    const before = this.#exchange.received;
    try {
      take();
    } catch (error) {
      const garbage = error instanceof WireError;
      if (!garbage) this.#ports.events.unexpected(this.node, error);
      const code = garbage ? status.INVALID_ARGUMENT : status.INTERNAL;
      const why = garbage ? `garbage: ${error.message}` : 'ds failed with a frame';
      const untouched = garbage && this.#exchange.received === before;
      this.#breakStream(code, why);
      if (!untouched) this.close(code, why, this.#phase !== 'presenting');
    }
  }

  #breakStream(code: status, why: string): void {
    if (this.#stream === undefined) return;
    this.#ports.events.streamBroken(this.node, this.#address, why);
    this.#endStream(code, why);
    this.#withoutStream();
  }

  #broken(): void {
    this.#stream = undefined;
    this.#exchange.unbind();
    this.#ports.events.streamBroken(this.node, this.#address, 'closed by cs or the network');
    this.#withoutStream();
  }

  #withoutStream(): void {
    if (this.#phase === 'presenting') this.close(status.ABORTED, 'its stream broke');
    const { admission } = this.#ports;
    if (this.#phase !== 'admitted' || admission.abandoned === undefined) return;
    // A lane that went to another ds does not come back, and its cs is alive.
    const silent = 'nothing was heard of it for two leases';
    clearTimeout(this.#silence);
    this.#silence = setTimeout(
      () => this.close(status.ABORTED, silent, true),
      2 * admission.leaseMs,
    ).unref();
  }

  #endStream(code: status, why: string): void {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#exchange.unbind();
    stream?.end(code, why);
  }

  #admit(sessions: PresentedSession[]): void {
    this.#phase = 'admitting';
    this.#ports.admission.admit(this.#down, this.instance, sessions, this.#about).then(
      ({ link, refusals }) => this.#admitted(link, refusals),
      (error: unknown) => this.#notAdmitted(error),
    );
  }

  #admitted(link: Link, refusals: Refusal[]): void {
    // Nobody renews its lease then, so it will be judged.
    if (this.#phase === 'closed') return;
    const { admission, events } = this.#ports;
    this.#phase = 'admitted';
    const down = this.#down;
    const leave = (id: number, goesOn: boolean): void => this.#leave(id, goesOn);
    this.#upstream = new UpstreamItems({ link, node: this.node, admission, down, events, leave });
    down.origin = this.#upstream;
    down.presented(refusals);
  }

  #notAdmitted(error: unknown): void {
    const { events, onClosed } = this.#ports;
    if (this.#phase === 'closed') {
      // There is no lease that its name would have to wait for.
      onClosed(this, false);
      return;
    }
    if (error instanceof Error && error.name === 'NodeIdInUse') {
      const why = nodeIdInUse(this.node);
      events.refused('node id in use', this.#address, why);
      this.close(status.ALREADY_EXISTS, why);
      return;
    }
    events.notAttached(this.node, this.#address, error);
    this.close(status.INTERNAL, 'ds failed to take the node in');
  }

  /** Earlier items are done or under way; `detach` ends the sessions after them. */
  #leave(id: number, goesOn: boolean): void {
    this.#phase = 'leaving';
    const { admission, events } = this.#ports;
    admission.detach(this.node, goesOn).then(
      () => {
        this.#down.answer(id, calls.leave.answer.encode());
        this.#exchange.hurry();
        setImmediate(() => this.close(status.OK, ''));
      },
      (error: unknown) => {
        events.callFailed(this.node, error);
        this.close(status.INTERNAL, 'ds failed to let the node go', true);
      },
    );
  }
}

const leaseEnded = 'the lease of this node has ended';

export function nodeIdInUse(node: NodeId): string {
  return `the node id ${csOfLane(node)} is in use by another cs (NODE_ID)`;
}
