import { BrokerConnection } from './broker-connection.ts';
import { answerCodes } from './codes.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { NameServers } from './name-servers.ts';
import {
  type ClusterBrokers,
  clusterBrokersOf,
  clusterBrokersRequest,
} from './requests/cluster-brokers.ts';
import type { NewTopic } from './requests/create-topic.ts';
import { getKvRequest } from './requests/get-kv.ts';
import { listKvRequest } from './requests/list-kv.ts';
import { putKvRequest } from './requests/put-kv.ts';
import { routeOf, routeRequest, type TopicRoute } from './requests/route.ts';
import { tableOf } from './requests/runtime-info.ts';

export interface RocketmqClientOptions extends ConnectionOptions {
  /** host:port each. */
  readonly nameServers: readonly string[];
}

/** Name servers and the brokers that they name, one connection each. */
export class RocketmqClient {
  readonly #options: ConnectionOptions;
  readonly #nameServers: NameServers;
  readonly #brokers = new Map<string, BrokerConnection>();
  #isClosed = false;

  constructor(options: RocketmqClientOptions) {
    this.#options = options;
    // The lease is about what brokers are told.
    this.#nameServers = new NameServers(options.nameServers, { ...options, mayWrite: undefined });
  }

  /** Undefined: no name server that answers knows the topic. */
  async route(topic: string): Promise<TopicRoute | undefined> {
    const answer = await this.#nameServers.ask(routeRequest(topic), answerCodes.topicNotExist);
    return answer === undefined ? undefined : routeOf(answer.body);
  }

  /** Asks every name server once, for `nameServersAnswer`; never rejects. */
  probeNameServers(): Promise<void> {
    return this.#nameServers.probe(clusterBrokersRequest);
  }

  /** By address: whether it answered when it was last asked. */
  get nameServersAnswer(): ReadonlyMap<string, boolean> {
    return this.#nameServers.answers;
  }

  async clusterInfo(): Promise<ClusterBrokers> {
    const answer = await this.#nameServers.ask(clusterBrokersRequest);
    return answer === undefined ? { brokers: [] } : clusterBrokersOf(answer.body);
  }

  /** On every name server: they do not share what they are told. */
  async putKv(namespace: string, key: string, value: string): Promise<void> {
    await this.#nameServers.tellAll(putKvRequest(namespace, key, value));
  }

  async getKv(namespace: string, key: string): Promise<string | undefined> {
    const request = getKvRequest(namespace, key);
    const answer = await this.#nameServers.ask(request, answerCodes.queryNotFound);
    return answer?.header.field('value');
  }

  async listKv(namespace: string): Promise<ReadonlyMap<string, string>> {
    const request = listKvRequest(namespace);
    const answer = await this.#nameServers.ask(request, answerCodes.queryNotFound);
    return answer === undefined ? new Map() : tableOf(answer.body);
  }

  async createTopic(brokerAddress: string, topic: NewTopic): Promise<void> {
    await this.broker(brokerAddress).createTopic(topic);
  }

  /** Made when first asked for, and kept. */
  broker(address: string): BrokerConnection {
    const known = this.#brokers.get(address);
    if (known !== undefined) return known;
    const made = new BrokerConnection(address, this.#options);
    this.#brokers.set(address, made);
    if (this.#isClosed) made.close();
    return made;
  }

  close(): void {
    this.#isClosed = true;
    this.#nameServers.close();
    for (const broker of this.#brokers.values()) broker.close();
  }
}
