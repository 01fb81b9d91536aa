// One cluster for all tests of a file: started before the first, stopped after the last. Tests name
// the node that a client comes to.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { type Cluster, type ClusterOptions, type LinkProxy, startCluster } from './cluster.ts';
import type { ConnectFields } from './packets.ts';
import { closeAllClients, connected, type RawClient } from './wire.ts';

export type ComeFields = ConnectFields & { readonly sessionPresent?: boolean };

export class ClusterSuite {
  #cluster: Cluster | undefined;

  constructor(options: Omit<ClusterOptions<LinkProxy>, 'between'> = {}) {
    before(async () => {
      this.#cluster = await startCluster(options);
    });
    after(async () => {
      closeAllClients();
      assert.equal(await this.#cluster?.stop(), 0);
    });
  }

  /** From the first test on. */
  get cluster(): Cluster {
    assert.ok(this.#cluster, 'the cluster of this file has not started');
    return this.#cluster;
  }

  /** The MQTT port of cs-`node`. */
  port(node: number): number {
    return this.cluster.node(node).port('mqtt');
  }

  /** A client of version 5 at cs-`node` whose CONNACK was 0. */
  at(node: number, fields: ComeFields = {}): Promise<RawClient> {
    return connected(this.port(node), { version: 5, ...fields });
  }
}
