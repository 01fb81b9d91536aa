// A TCP proxy in front of one server for several processes: each gets a way of its own, so that one
// of them can be cut off while the others go on. Whose a connection is, is read from the system's
// tables (Linux): a client says nothing of itself before it is connected.
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Address } from './process.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface Party {
  readonly name: string;
  /** Id of the life that it has now. */
  pid(): number;
}

const inodeField = 9;

/** The inode of the socket whose own end is this port of the loopback; undefined: it is gone. */
function inodeOf(localPort: number): string | undefined {
  const wanted = `0100007F:${localPort.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === wanted && fields[inodeField] !== '0') return fields[inodeField];
  }
  return undefined;
}

function holds(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((name) => isSocket(`${folder}/${name}`, inode));
  } catch {
    return false;
  }
}

function isSocket(path: string, inode: string): boolean {
  try {
    return readlinkSync(path) === `socket:[${inode}]`;
  } catch {
    return false;
  }
}

export class SortingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ways: ReadonlyMap<string, TcpProxy>;
  readonly #rest: TcpProxy;
  /** Parties that come; connections of nobody among them have a way, too. */
  parties: readonly Party[] = [];

  private constructor(server: Server, ways: ReadonlyMap<string, TcpProxy>, rest: TcpProxy) {
    this.#server = server;
    this.#ways = ways;
    this.#rest = rest;
    server.on('connection', (socket: Socket) => this.#join(socket));
  }

  /** Listens at `at` (port 0: any). */
  static async start(
    target: Address,
    names: readonly string[],
    at: Address = { host: '127.0.0.1', port: 0 },
  ): Promise<SortingProxy> {
    const ways = new Map<string, TcpProxy>();
    for (const name of names) ways.set(name, await TcpProxy.start(target));
    const rest = await TcpProxy.start(target);
    const server = createServer({ pauseOnConnect: true, noDelay: true });
    const proxy = new SortingProxy(server, ways, rest);
    server.listen({ ...at, exclusive: true });
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  way(name: string): TcpProxy {
    const way = this.#ways.get(name);
    if (way === undefined) throw new Error(`there is no way for ${name}`);
    return way;
  }

  #wayOf(remotePort: number): TcpProxy {
    const inode = inodeOf(remotePort);
    if (inode === undefined) return this.#rest;
    const party = this.parties.find((each) => each.pid() > 0 && holds(each.pid(), inode));
    return party === undefined ? this.#rest : this.way(party.name);
  }

  #join(near: Socket): void {
    const { port } = this.#wayOf(near.remotePort ?? 0);
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.resetAndDestroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const way of [...this.#ways.values(), this.#rest]) {
      way.heal();
      await way.stop();
    }
    await closed;
  }
}
