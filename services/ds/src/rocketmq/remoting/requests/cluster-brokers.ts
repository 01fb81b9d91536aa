import { isRecord, parseTolerantly, recordsIn, textOf, textsIn } from '../json.ts';
import type { RemotingRequest } from '../request.ts';

/** All brokers that a name server knows. */
export interface ClusterBrokers {
  readonly brokers: readonly ClusterBroker[];
}

interface ClusterBroker {
  readonly name: string;
  readonly cluster: string;
  /** host:port of the master; undefined while the broker has none. */
  readonly master: string | undefined;
}

const masterId = '0';

/**
 * GET_BROKER_CLUSTER_INFO, 106, of name servers. No fields. Answer: the body,
 * `{"brokerAddrTable":{name:{"brokerName","cluster","brokerAddrs":{0:"host:port"}}},…}`.
 */
export const clusterBrokersRequest: RemotingRequest = { name: 'clusterInfo', fields: {} };

export function clusterBrokersOf(body: Buffer): ClusterBrokers {
  const value = parseTolerantly(body.toString('utf8'));
  const table = recordsIn(isRecord(value) ? value['brokerAddrTable'] : undefined);
  return {
    brokers: table.map(([name, each]) => ({
      name,
      cluster: textOf(each['cluster']),
      master: masterOf(each),
    })),
  };
}

/** Brokers are numbered in their group; the master is 0. */
export function masterOf(broker: Readonly<Record<string, unknown>>): string | undefined {
  return textsIn(broker['brokerAddrs']).get(masterId);
}
