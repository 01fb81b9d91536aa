/** Where a topic is, by request 105. */
export interface TopicRoute {
  readonly brokers: readonly BrokerRoute[];
}

export interface BrokerRoute {
  readonly name: string;
  readonly cluster: string;
  /** host:port of the master; undefined while the broker has none. */
  readonly master: string | undefined;
  readonly readQueues: number;
  readonly writeQueues: number;
  readonly readable: boolean;
  readonly writable: boolean;
}

/** All brokers that a name server knows, by request 106. */
export interface ClusterBrokers {
  readonly brokers: readonly ClusterBroker[];
}

export interface ClusterBroker {
  readonly name: string;
  readonly cluster: string;
  /** host:port of the master; undefined while the broker has none. */
  readonly master: string | undefined;
}
