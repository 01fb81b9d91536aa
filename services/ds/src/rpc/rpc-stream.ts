import { systemClock } from '@lmqtt/common/clock';
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { PeerConnection } from './rpc-listener.ts';

export type ExchangeCall = ServerDuplexStream<Buffer, Buffer>;

/** Time that the frames of a stream may take before others have their turn. */
const restAfterMs = 5;

/** Owner of a stream. */
interface StreamOwner {
  frame(frame: Buffer): void;
  /** The stream ended, other than by {@link RpcStream.end}. Nothing comes after it. */
  closed(): void;
}

/**
 * One call of Exchange as a pipe of frames. Once ended on either side, it is silent. Where frames
 * take long to be handled, the next ones wait in the call for the next turn of the event loop.
 */
export class RpcStream {
  readonly address: string;
  readonly #call: ExchangeCall;
  readonly #peer: PeerConnection | undefined;
  #owner: StreamOwner | undefined = undefined;
  #open = true;
  /** Time that frames have taken since the last rest. */
  #workedMs = 0;

  constructor(call: ExchangeCall, peer: PeerConnection | undefined) {
    this.#call = call;
    this.#peer = peer;
    this.address = call.getPeer();
    peer?.streamOpened();
  }

  /** From now on frames come; none was lost before. */
  start(owner: StreamOwner): void {
    this.#owner = owner;
    const closed = (): void => {
      if (!this.#open) return;
      this.#open = false;
      this.#peer?.streamEnded();
      owner.closed();
    };
    this.#call.on('data', (frame: Buffer) => this.#take(frame));
    this.#call.once('end', () => {
      closed();
      this.#call.end();
    });
    this.#call.once('cancelled', closed);
    this.#call.once('close', closed);
  }

  #take(frame: Buffer): void {
    if (this.#owner === undefined) return;
    const fromMs = systemClock.monotonicMs();
    this.#owner.frame(frame);
    this.#workedMs += systemClock.monotonicMs() - fromMs;
    if (this.#workedMs < restAfterMs || !this.#open) return;
    this.#workedMs = 0;
    this.#call.pause();
    setImmediate(() => this.#call.resume());
  }

  send(frame: Buffer): void {
    if (this.#open) this.#call.write(frame);
  }

  /** Frames that were sent before go out first. */
  end(code: status, detail: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#owner = undefined;
    this.#peer?.streamEnded();
    if (code === status.OK) this.#call.end();
    // How a status is given to a stream: gRPC takes it from its error event.
    else this.#call.emit('error', { code, details: detail });
    // Frames that still come are of no interest, but have to be read for the end to be seen.
    this.#call.resume();
  }
}
