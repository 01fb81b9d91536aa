import { isRecord, numberOf, parseTolerantly, recordsOf, textOf } from '../json.ts';
import type { RemotingRequest } from '../request.ts';
import { masterOf } from './cluster-brokers.ts';

/** Brokers and queues of a topic. */
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

const readPermission = 4;
const writePermission = 2;

/**
 * GET_ROUTEINFO_BY_TOPIC, 105, of name servers. Fields: topic | acceptStandardJsonOnly. Answer: the
 * body, `{"brokerDatas":[{"brokerName","cluster","brokerAddrs":{"0":"host:port"}}],
 * "queueDatas":[{"brokerName","readQueueNums","writeQueueNums","perm"}]}`; code 17: not known.
 */
export function routeRequest(topic: string): RemotingRequest {
  return { name: 'route', fields: { topic, acceptStandardJsonOnly: 'true' } };
}

export function routeOf(body: Buffer): TopicRoute {
  const value = parseTolerantly(body.toString('utf8'));
  if (!isRecord(value)) return { brokers: [] };
  const queues = new Map(
    recordsOf(value['queueDatas']).map((each) => [textOf(each['brokerName']), each]),
  );
  return {
    brokers: recordsOf(value['brokerDatas']).map((each) => {
      const name = textOf(each['brokerName']);
      const its = queues.get(name) ?? {};
      const permissions = numberOf(its['perm']);
      return {
        name,
        cluster: textOf(each['cluster']),
        master: masterOf(each),
        readQueues: numberOf(its['readQueueNums']),
        writeQueues: numberOf(its['writeQueueNums']),
        readable: (permissions & readPermission) !== 0,
        writable: (permissions & writePermission) !== 0,
      };
    }),
  };
}
