// The bytes that a stranger's unfinished WebSocket message holds in memory. A frame is kept until
// it is whole, whatever it carries, and the limit on a CONNECT can be judged only then; so a client
// that is not known yet has a limit on the frame.
import type { Duplex } from 'node:stream';

/** Opcode, length and mask of a control frame of a client. */
const controlHeaderBytes = 6;

export class UnfinishedBytes {
  readonly #socket: Duplex;
  readonly #bytesMax: number;
  readonly #over: () => void;
  #held = 0;

  /** `over` is called once, when more than `bytesMax` bytes have come without a whole message. */
  constructor(socket: Duplex, bytesMax: number, over: () => void) {
    this.#socket = socket;
    this.#bytesMax = bytesMax;
    this.#over = over;
    socket.on('data', this.#came);
  }

  /** A message was whole. */
  finished(): void {
    this.#held = 0;
  }

  /** A control frame with so many bytes of payload came: it is not kept (RFC 6455, section 5.5). */
  control(payloadBytes: number): void {
    this.#held -= controlHeaderBytes + payloadBytes;
  }

  /** The client is known, and has the limit of its packets. */
  end(): void {
    this.#socket.off('data', this.#came);
  }

  readonly #came = (chunk: Buffer): void => {
    this.#held += chunk.length;
    if (this.#held <= this.#bytesMax) return;
    this.end();
    this.#over();
  };
}
