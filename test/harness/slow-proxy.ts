// A TCP proxy between one cs and ds that is a narrow link: each direction carries so many bytes a
// second for all its connections together, in the order of turns, and holds few of them. What it
// has no room for stays in the sender's socket, as before a real link.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from './process.ts';
import type { Direction } from './tcp-proxy.ts';

/** Maximum bytes that one connection may have in the proxy, in one direction. */
const heldBytesMax = 32 << 10;
const tickMs = 5;
/**
 * Minimum bytes of a turn: a packet on the wire. Turns are larger where the link carries many
 * packets in a moment.
 */
const turnBytesMin = 1460;
const turnsPerSecondMax = 10_000;

/** One direction of one connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #ended = false;

  constructor(from: Socket, to: Socket) {
    this.#from = from;
    this.#to = to;
    from.on('data', (bytes: Buffer) => {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      if (this.#heldBytes >= heldBytesMax) from.pause();
    });
    from.on('end', () => {
      this.#ended = true;
    });
    from.resume();
  }

  get isEmpty(): boolean {
    return this.#heldBytes === 0;
  }

  /** Passes on at most so many bytes; how many it were. */
  pass(bytesMax: number, latencyMs: number): number {
    const head = this.#held[0];
    if (head === undefined) return 0;
    const bytes = head.subarray(0, bytesMax);
    if (bytes.length === head.length) this.#held.shift();
    else this.#held[0] = head.subarray(bytes.length);
    this.#heldBytes -= bytes.length;
    if (this.#heldBytes < heldBytesMax && !this.#from.destroyed) this.#from.resume();
    if (latencyMs === 0) this.#to.write(bytes);
    else setTimeout(() => this.#to.write(bytes), latencyMs);
    if (this.#ended && this.isEmpty) this.#to.end();
    return bytes.length;
  }

  endIfEmpty(): void {
    if (this.#ended && this.isEmpty && !this.#to.writableEnded) this.#to.end();
  }
}

/** One direction of the link. */
class Way {
  readonly pipes: Pipe[] = [];
  bytesPerSecond: number;
  #credit = 0;
  #turn = 0;
  passedBytes = 0;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Adds the capacity of the time that has passed. Unused capacity does not add up. */
  tick(elapsedMs: number, latencyMs: number): void {
    const more = (this.bytesPerSecond * elapsedMs) / 1000;
    const turnBytes = Math.max(turnBytesMin, this.bytesPerSecond / turnsPerSecondMax);
    this.#credit = Math.min(this.#credit + more, more + turnBytes);
    let idle = 0;
    while (this.#credit > 0 && idle < this.pipes.length) {
      this.#turn = (this.#turn + 1) % this.pipes.length;
      const pipe = this.pipes[this.#turn]!;
      const bytes = pipe.pass(turnBytes, latencyMs);
      this.#credit -= bytes;
      this.passedBytes += bytes;
      idle = bytes === 0 ? idle + 1 : 0;
    }
    for (const pipe of this.pipes) pipe.endIfEmpty();
  }

  remove(pipe: Pipe): void {
    const index = this.pipes.indexOf(pipe);
    if (index >= 0) this.pipes.splice(index, 1);
    this.#turn = 0;
  }
}

export interface SlowOptions {
  readonly bitsPerSecond: number;
  /** Latency in one direction. */
  readonly latencyMs?: number;
}

export class SlowProxy {
  readonly #server: Server;
  readonly #target: Address;
  readonly #latencyMs: number;
  readonly #ways: Readonly<Record<Direction, Way>>;
  readonly #sockets = new Set<Socket>();
  readonly #timer: NodeJS.Timeout;
  #lastMs = performance.now();
  #accepted = 0;

  private constructor(server: Server, target: Address, options: SlowOptions) {
    this.#server = server;
    this.#target = target;
    this.#latencyMs = options.latencyMs ?? 0;
    const bytesPerSecond = options.bitsPerSecond / 8;
    this.#ways = { up: new Way(bytesPerSecond), down: new Way(bytesPerSecond) };
    this.#timer = setInterval(() => this.#tick(), tickMs);
    server.on('connection', (socket: Socket) => this.#join(socket));
  }

  static async start(target: Address, options: SlowOptions): Promise<SlowProxy> {
    const server = createServer({
      pauseOnConnect: true,
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: heldBytesMax,
    });
    const proxy = new SlowProxy(server, target, options);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections that came since its start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Bytes that it has carried. */
  carried(direction: Direction): number {
    return this.#ways[direction].passedBytes;
  }

  /** Both ways, from now on. */
  set bitsPerSecond(bits: number) {
    for (const way of [this.#ways.up, this.#ways.down]) way.bytesPerSecond = bits / 8;
  }

  #tick(): void {
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    for (const way of [this.#ways.up, this.#ways.down]) way.tick(elapsedMs, this.#latencyMs);
  }

  #join(near: Socket): void {
    this.#accepted += 1;
    const far = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const up = new Pipe(near, far);
    const down = new Pipe(far, near);
    this.#ways.up.pipes.push(up);
    this.#ways.down.pipes.push(down);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.resetAndDestroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
        this.#ways.up.remove(up);
        this.#ways.down.remove(down);
      });
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
