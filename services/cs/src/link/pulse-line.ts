import type { Clock } from '@lmqtt/common/clock';
import { pulseFrame, readPulse } from '@lmqtt/proto/wire/frame';
import type { Renew, Renewed } from '@lmqtt/proto/wire/pulse';
import { WireError } from '@lmqtt/proto/wire/wire-error';
import { WireWriter } from '@lmqtt/proto/wire/wire-writer';
import type { DsStream, StreamTaker } from './ds-stream.ts';

const retryMs = 1000;

interface PulseLineTargets {
  /** Throws where a TLS file cannot be read or used. */
  open(attachment: string, taker: StreamTaker): DsStream;
  renewed(renewed: Renewed): void;
}

/**
 * The second stream of an attachment, over a connection of its own: renewals and their answers go
 * over it as well, so that no bulk is before them. Where it does not come about or breaks, it is
 * tried again, and renewals go over the first stream alone.
 */
export class PulseLine {
  readonly #clock: Clock;
  readonly #targets: PulseLineTargets;
  readonly #writer: WireWriter = new WireWriter();
  /** The attachment whose lease is renewed; undefined: no stream for renewals is wanted. */
  #attachment: string | undefined = undefined;
  #leaseMs = 0;
  #stream: DsStream | undefined = undefined;
  #heardMs = 0;
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(clock: Clock, targets: PulseLineTargets) {
    this.#clock = clock;
    this.#targets = targets;
  }

  /** The first stream is open. */
  start(attachment: string, leaseMs: number): void {
    this.stop();
    this.#attachment = attachment;
    this.#leaseMs = leaseMs;
    this.#open();
  }

  stop(): void {
    this.#attachment = undefined;
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = undefined;
  }

  send(renew: Renew): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#clock.monotonicMs() - this.#heardMs > this.#leaseMs) {
      stream.close();
      this.#ended();
    } else {
      stream.send(pulseFrame(this.#writer, { renew }));
    }
  }

  #open(): void {
    if (this.#attachment === undefined) return;
    this.#heardMs = this.#clock.monotonicMs();
    try {
      const stream = this.#targets.open(this.#attachment, {
        frame: (frame) => this.#arrived(frame),
        ended: () => this.#ended(),
      });
      this.#stream = stream;
    } catch {
      this.#ended();
    }
  }

  #arrived(frame: Buffer): void {
    this.#heardMs = this.#clock.monotonicMs();
    try {
      const { renewed } = readPulse(frame);
      if (renewed !== undefined) this.#targets.renewed(renewed);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#stream?.close();
      this.#ended();
    }
  }

  #ended(): void {
    this.#stream = undefined;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), retryMs);
  }
}
