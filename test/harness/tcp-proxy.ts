// A TCP proxy between one cs and ds that can do what a bad network does. Bytes that were taken are
// passed on later or lost with their connection, never changed.
import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { Address } from './process.ts';

/** `up`: from cs to ds. */
export type Direction = 'up' | 'down';
export type Way = Direction | 'both';

/** One direction of one connection: reads when the way is open and the other side has room. */
class Pipe {
  readonly direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  #stalled: boolean;

  constructor(direction: Direction, from: Socket, to: Socket, stalled: boolean) {
    this.direction = direction;
    this.#from = from;
    this.#to = to;
    this.#stalled = stalled;
    from.on('data', (bytes: Buffer) => {
      if (!to.write(bytes)) from.pause();
    });
    from.on('end', () => to.end());
    to.on('drain', () => this.#flow());
    this.#flow();
  }

  set stalled(stalled: boolean) {
    this.#stalled = stalled;
    this.#flow();
  }

  #flow(): void {
    if (this.#stalled || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  readonly pipes: readonly Pipe[];
}

export class TcpProxy {
  readonly #server: Server;
  readonly #target: Address;
  readonly #pairs = new Set<Pair>();
  /** Accepted while nothing passes. */
  readonly #hanging = new Set<Socket>();
  readonly #stalled: Record<Direction, boolean> = { up: false, down: false };
  #hangs = false;
  #heals: NodeJS.Timeout | undefined;

  private constructor(server: Server, target: Address) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (socket: Socket) => {
      socket.on('error', () => {});
      if (this.#hangs) this.#hang(socket);
      else this.#join(socket);
    });
  }

  static async start(target: Address): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    const proxy = new TcpProxy(server, target);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Connections that are open through it. */
  get connections(): number {
    return this.#pairs.size;
  }

  #hang(socket: Socket): void {
    this.#hanging.add(socket);
    socket.on('close', () => this.#hanging.delete(socket));
  }

  #join(near: Socket): void {
    const far = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const pair: Pair = {
      near,
      far,
      pipes: [
        new Pipe('up', near, far, this.#stalled.up),
        new Pipe('down', far, near, this.#stalled.down),
      ],
    };
    this.#pairs.add(pair);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      // A broken connection is broken on both sides, though not while nothing passes.
      one.on('error', () => {
        if (this.#hangs) return;
        other.resetAndDestroy();
      });
      one.on('close', () => {
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
        else if (!this.#hangs && !other.writableEnded) other.destroy();
      });
    }
  }

  #setStalled(way: Way, stalled: boolean): void {
    for (const direction of ['up', 'down'] as const) {
      if (way !== 'both' && way !== direction) continue;
      this.#stalled[direction] = stalled;
      for (const { pipes } of this.#pairs) {
        for (const pipe of pipes) if (pipe.direction === direction) pipe.stalled = stalled;
      }
    }
  }

  /** Bytes stop, connections stay open, new ones are stalled too; until `flow`. */
  stall(way: Way = 'both'): void {
    this.#setStalled(way, true);
  }

  /** Bytes that were stalled go on, in order, with nothing lost. */
  flow(way: Way = 'both'): void {
    this.#setStalled(way, false);
  }

  /** Nothing passes and new connections hang, for this long or until `heal`. */
  partition(ms: number = Infinity): void {
    clearTimeout(this.#heals);
    this.#hangs = true;
    this.stall();
    if (Number.isFinite(ms)) {
      this.#heals = setTimeout(() => this.heal(), ms);
      this.#heals.unref();
    }
  }

  heal(): void {
    clearTimeout(this.#heals);
    this.#hangs = false;
    this.flow();
    for (const { near, far } of this.#pairs) {
      if (near.destroyed) far.resetAndDestroy();
      if (far.destroyed) near.resetAndDestroy();
    }
    for (const socket of this.#hanging) this.#join(socket);
    this.#hanging.clear();
  }

  /** Every connection is reset on both sides, with what was on its way; new ones pass. */
  cut(): void {
    for (const socket of this.#takeAll()) socket.resetAndDestroy();
  }

  /**
   * The same with an ordinary close. After a stall it has to be this one: Node 20 does not end
   * while a socket that was not read waits for its reset.
   */
  close(): void {
    for (const socket of this.#takeAll()) socket.destroy();
  }

  #takeAll(): Socket[] {
    const sockets = [...this.#pairs].flatMap(({ near, far }) => [near, far]);
    this.#pairs.clear();
    return [...sockets, ...this.#hanging];
  }

  async stop(): Promise<void> {
    clearTimeout(this.#heals);
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }
}
