import type { BrokerConnection, NewTopic } from './broker-connection.ts';
import type { ConnectionOptions } from './connection-options.ts';
import type { ClusterBrokers, TopicRoute } from './topic-route.ts';

export interface RocketmqClientOptions extends ConnectionOptions {
  /** host:port each. */
  readonly nameServers: readonly string[];
}

/** Name servers and the brokers that they name, one connection each. */
export class RocketmqClient {
  constructor(options: RocketmqClientOptions) {
    void options;
  }

  /** Undefined: no name server that answers knows the topic. */
  route(topic: string): Promise<TopicRoute | undefined> {
    throw new Error(`not there yet ${topic}`);
  }

  clusterInfo(): Promise<ClusterBrokers> {
    throw new Error('not there yet');
  }

  /** On every name server: they do not share what they are told. */
  putKv(namespace: string, key: string, value: string): Promise<void> {
    throw new Error(`not there yet ${namespace} ${key} ${value}`);
  }

  getKv(namespace: string, key: string): Promise<string | undefined> {
    throw new Error(`not there yet ${namespace} ${key}`);
  }

  listKv(namespace: string): Promise<ReadonlyMap<string, string>> {
    throw new Error(`not there yet ${namespace}`);
  }

  createTopic(brokerAddress: string, topic: NewTopic): Promise<void> {
    throw new Error(`not there yet ${brokerAddress} ${topic.topic}`);
  }

  /** Made when first asked for, and kept. */
  broker(address: string): BrokerConnection {
    throw new Error(`not there yet ${address}`);
  }

  close(): void {}
}
