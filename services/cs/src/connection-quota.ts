/** A connection as its quota knows it. */
interface CountedClient {
  readonly clientId: string;
}

/** The connections of one name, also by client identifier. */
interface Share {
  count: number;
  readonly ofClients: Map<string, number>;
}

/**
 * Connections by a name that several of them have, such as an address or a user, each of which may
 * have only so many: those with a session, and those that are being served.
 */
export class ConnectionQuota {
  readonly #max: number;
  readonly #shares: Map<string, Share> = new Map();
  readonly #names: Map<CountedClient, string> = new Map();

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Counts one more; false: the name has as many as it may. A connection of the same client
   * identifier makes room, since its session is taken over.
   */
  admits(name: string, client: CountedClient): boolean {
    if (this.#names.has(client)) return true;
    const { clientId } = client;
    let share = this.#shares.get(name);
    if (share === undefined) {
      share = { count: 0, ofClients: new Map() };
      this.#shares.set(name, share);
    } else if (share.count >= this.#max && !share.ofClients.has(clientId)) return false;
    share.count += 1;
    share.ofClients.set(clientId, (share.ofClients.get(clientId) ?? 0) + 1);
    this.#names.set(client, name);
    return true;
  }

  /** The connection has ended. */
  remove(client: CountedClient): void {
    const name = this.#names.get(client);
    if (name === undefined) return;
    this.#names.delete(client);
    const share = this.#shares.get(name);
    if (share === undefined) return;
    share.count -= 1;
    if (share.count === 0) this.#shares.delete(name);
    const left = (share.ofClients.get(client.clientId) ?? 0) - 1;
    if (left > 0) share.ofClients.set(client.clientId, left);
    else share.ofClients.delete(client.clientId);
  }
}
