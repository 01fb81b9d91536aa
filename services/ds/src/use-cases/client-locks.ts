import type { ClientId } from '@lmqtt/common/ids';

/** One at a time for each client identifier, in the order of the calls. */
export class ClientLocks {
  readonly #last = new Map<ClientId, Promise<void>>();

  async run<T>(clientId: ClientId, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(clientId);
    let release: () => void = () => {};
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#last.set(clientId, mine);
    if (before !== undefined) await before;
    try {
      return await task();
    } finally {
      if (this.#last.get(clientId) === mine) this.#last.delete(clientId);
      release();
    }
  }
}
