// A connection of the test to itself. A byte that has gone there and back says that what was written
// before it, by whatever connection of this process, has arrived, however busy the machine is.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export class Loopback {
  readonly #near: Socket;
  readonly #far: Socket;

  private constructor(near: Socket, far: Socket) {
    this.#near = near;
    this.#far = far;
    far.on('data', (bytes) => far.write(bytes));
  }

  static async open(): Promise<Loopback> {
    const server = createServer({ noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const near = connect({ port: address.port, host: '127.0.0.1', noDelay: true });
    const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [
      [Socket],
      unknown,
    ];
    server.close();
    return new Loopback(near, far);
  }

  async roundTrip(): Promise<void> {
    const arrived = once(this.#near, 'data');
    this.#near.write('.');
    await arrived;
  }

  close(): void {
    this.#near.destroy();
    this.#far.destroy();
  }
}
