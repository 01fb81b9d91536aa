// Sockets that were accepted and are no stream yet, from the first byte of TLS to the end of the
// upgrade to WebSocket. By address and port, as the socket that was accepted and the one that comes
// out of a handshake are two.

import type { Server, Socket } from 'node:net';
import { sourceOf } from './proxies.ts';
import type { HandshakeRoom, StreamPeer } from './transport.ts';

export class Handshakes {
  readonly #done = new Map<string, () => void>();
  readonly #room: HandshakeRoom;

  constructor(server: Server, room: HandshakeRoom) {
    this.#room = room;
    server.on('connection', (socket: Socket) => this.#began(socket));
  }

  /** There is a stream with this peer. */
  over({ address, port }: Pick<StreamPeer, 'address' | 'port'>): void {
    this.#end(`${address} ${port}`);
  }

  #began(socket: Socket): void {
    const { address, port } = sourceOf(socket);
    if (address === undefined || port === undefined) return;
    const name = `${address} ${port}`;
    this.#end(name);
    const done = this.#room.add(address, () => socket.destroy());
    // Two sockets never have one name at a time, but the end of the first may be told late.
    const leave = (): void => {
      socket.off('close', leave);
      if (this.#done.get(name) === leave) this.#done.delete(name);
      done();
    };
    this.#done.set(name, leave);
    socket.once('close', leave);
  }

  #end(name: string): void {
    this.#done.get(name)?.();
  }
}
