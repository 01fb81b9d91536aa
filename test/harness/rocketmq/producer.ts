// Sends to a broker as producers of back ends do, without a client of RocketMQ: plain messages,
// compressed bodies, transactions.
import { remotingRequest } from './remoting-request.ts';

const createTopicCode = 17;
const sendCode = 310;
const endTransactionCode = 37;
const group = 'back-end-producer';
const preparedFlag = 4;
const ends = { commit: 8, rollback: 12 } as const;

export interface ProducedMessage {
  readonly topic: string;
  readonly body: string | Buffer;
  readonly properties?: Readonly<Record<string, string>>;
  readonly queueId?: number;
  /** Flags of compression; default: none. */
  readonly sysFlag?: number;
}

export interface Produced {
  readonly queueId: number;
  readonly queueOffset: number;
  /** Place at the broker: address, and offset in its commit log. */
  readonly msgId: string;
  readonly transactionId: string;
}

let keys = 0;

/** At that broker. `attributes`: `+message.type=DELAY`, which RocketMQ 5 knows. */
export async function createTopic(
  port: number,
  topic: string,
  queues: number = 4,
  attributes: string = '',
): Promise<void> {
  const answer = await remotingRequest(port, createTopicCode, {
    ...{ topic, defaultTopic: 'TBW102', perm: '6', topicFilterType: 'SINGLE_TAG' },
    ...{ readQueueNums: `${queues}`, writeQueueNums: `${queues}` },
    ...{ topicSysFlag: '0', order: 'false', attributes },
  });
  if (answer.code !== 0) throw new Error(`${topic}: ${answer.code} ${answer.remark}`);
}

/** `port`: of the broker. Throws where it is not stored. */
export async function produce(port: number, message: ProducedMessage): Promise<Produced> {
  const { topic, queueId = 0, sysFlag = 0 } = message;
  let text = '';
  for (const [name, value] of Object.entries(message.properties ?? {}))
    text += `${name}\u0001${value}\u0002`;
  const fields = {
    ...{ a: group, b: topic, c: 'TBW102', d: '4', e: `${queueId}`, f: `${sysFlag}` },
    ...{ g: `${Date.now()}`, h: '0', i: text, j: '0', k: 'false', m: 'false' },
  };
  const answer = await remotingRequest(port, sendCode, fields, message.body);
  if (answer.code !== 0) throw new Error(`not stored: ${answer.code} ${answer.remark}`);
  return {
    queueId: Number(answer.fields['queueId']),
    queueOffset: Number(answer.fields['queueOffset']),
    msgId: answer.fields['msgId'] ?? '',
    transactionId: answer.fields['transactionId'] ?? '',
  };
}

/** A transaction that waits for its end. */
export async function prepare(
  port: number,
  message: ProducedMessage,
): Promise<(end: keyof typeof ends) => Promise<void>> {
  keys += 1;
  const key = `transaction-${process.pid}-${keys}`;
  const properties = { ...message.properties, TRAN_MSG: 'true', PGROUP: group, UNIQ_KEY: key };
  const produced = await produce(port, { ...message, properties, sysFlag: preparedFlag });
  return async (end) => {
    const answer = await remotingRequest(port, endTransactionCode, {
      topic: message.topic,
      producerGroup: group,
      tranStateTableOffset: `${produced.queueOffset}`,
      commitLogOffset: `${Number.parseInt(produced.msgId.slice(-16), 16)}`,
      commitOrRollback: `${ends[end]}`,
      fromTransactionCheck: 'false',
      msgId: key,
      transactionId: key,
    });
    if (answer.code !== 0) throw new Error(`${end}: ${answer.code} ${answer.remark}`);
  };
}
