export interface Figures {
  readonly version: string;
  readonly uptimeS: number;
  readonly connected: number;
  readonly connectedMax: number;
  readonly sessions: number;
  readonly queues: number;
  readonly groups: number;
  readonly subscriptions: number;
  readonly retained: number;
  readonly retainedBytes: number;
  /** Counters of cs, by the rest of the topic. */
  readonly counters: Record<string, number>;
}

/** Values by the rest of the topic, with the names that other brokers have given them. */
export function sysFigures(figures: Figures): Record<string, number | string> {
  return {
    version: `lmqtt ${figures.version}`,
    uptime: `${Math.floor(figures.uptimeS)} seconds`,
    'clients/connected': figures.connected,
    'clients/active': figures.connected,
    'clients/disconnected': figures.sessions - figures.connected,
    'clients/inactive': figures.sessions - figures.connected,
    'clients/total': figures.sessions,
    'clients/maximum': figures.connectedMax,
    'subscriptions/count': figures.subscriptions,
    'shared_subscriptions/count': figures.groups,
    'retained messages/count': figures.retained,
    'retained messages/bytes': figures.retainedBytes,
    'queues/count': figures.queues,
    ...figures.counters,
  };
}
