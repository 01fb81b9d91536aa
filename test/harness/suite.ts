// One broker for all tests of a file: started before the first, stopped after the last, and the
// connections that a test has left are cut after each.
import { after, afterEach, before } from 'node:test';
import type { Broker, BrokerOptions } from './broker.ts';
import { startBroker } from './broker.ts';
import type { ConnectFields } from './packets.ts';
import type { RawClient } from './wire.ts';
import { closeAllClients, connected, connectRaw } from './wire.ts';

export class Suite {
  #broker: Broker | undefined;

  constructor(options: BrokerOptions = {}) {
    before(async () => {
      this.#broker = await startBroker(options);
    });
    afterEach(closeAllClients);
    after(async () => {
      await this.#broker?.stop();
    });
  }

  /** From the first test on. */
  get broker(): Broker {
    if (!this.#broker) throw new Error('the broker of this file has not started');
    return this.#broker;
  }

  get port(): number {
    return this.broker.mqttPort;
  }

  /** A connection on which nothing has been sent. */
  async open(): Promise<RawClient> {
    return connectRaw(this.port);
  }

  /** A client whose CONNACK was 0, of version 4 unless told otherwise. */
  async client(
    fields: ConnectFields & { readonly sessionPresent?: boolean } = {},
  ): Promise<RawClient> {
    return connected(this.port, fields);
  }

  /** These bytes, first on a new connection, get a close and no packet. */
  async refuses(...bytes: Uint8Array[]): Promise<void> {
    const client = await this.open();
    client.send(...bytes);
    await client.expectClose();
    client.destroy();
  }

  /** These bytes, from a connected version 4 client, get a close and no packet. */
  async closesOn(...bytes: Uint8Array[]): Promise<void> {
    const client = await this.client();
    client.send(...bytes);
    await client.expectClose();
    client.destroy();
  }
}
