// One broker for all tests of a file: started before the first, stopped after the last, and the
// connections that a test has left are cut after each (or, where tests run at once, after all).
import { after, afterEach, before } from 'node:test';
import type { Broker, BrokerOptions } from './broker.ts';
import { startBroker } from './shape.ts';
import type { ConnectFields } from './packets.ts';
import type { RawClient } from './wire.ts';
import { closeAllClients, connected, connectRaw, unique } from './wire.ts';

const exitSeenMs = 100;

export interface SuiteOptions extends BrokerOptions {
  /** The tests of the file run at once. */
  readonly together?: boolean;
}

export class Suite {
  #broker: Broker | undefined;

  constructor({ together = false, ...options }: SuiteOptions = {}) {
    before(async () => {
      this.#broker = await startBroker(options);
    });
    if (!together) afterEach(closeAllClients);
    after(async () => {
      closeAllClients();
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
    return this.#alive(connectRaw(this.port));
  }

  /** A failure that comes from the end of the broker says what its log says of that. */
  async #alive<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve, exitSeenMs));
      if (!this.broker.died) throw error;
      throw new Error(this.broker.lastWords, { cause: error });
    }
  }

  /** A client whose CONNACK was 0, of version 4 unless told otherwise. */
  async client(
    fields: ConnectFields & { readonly sessionPresent?: boolean } = {},
  ): Promise<RawClient> {
    return this.#alive(connected(this.port, fields));
  }

  /** A client with these subscriptions, to which all that was retained has been sent. */
  async subscriber(...filters: string[]): Promise<RawClient> {
    const client = await this.client();
    const marker = unique('marker');
    await client.subscribe([...filters, marker], 2);
    client.sendPublish({ topic: marker });
    await client.find('publish', { topic: marker });
    await client.unsubscribe(marker);
    client.discard();
    return client;
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
