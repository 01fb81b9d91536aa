// What a node of apache/rocketmq-mqtt does at RocketMQ and at other nodes, by plain remoting: it
// stores messages of its clients, keeps and reads their positions, and takes events.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { produce } from './producer.ts';
import { remotingRequest } from './remoting-request.ts';

const pullCode = 11;
const queryOffsetCode = 14;
const updateOffsetCode = 15;
const maxOffsetCode = 30;
const emptyPayload = '★\r\n\t☀';
const notifyCode = 201;
const success = 1;

/** `t/r/+` is `%LMQ%t%r%+%`. */
export function javaLmqName(filter: string): string {
  const normal = filter.includes('/') && !filter.endsWith('/') ? `${filter}/` : filter;
  return `%LMQ%${normal.replaceAll('/', '%')}`;
}

export interface JavaPublish {
  readonly topic: string;
  readonly payload: string;
  readonly qos?: 0 | 1 | 2;
  /** Filters of the KV configuration that match. */
  readonly filters?: readonly string[];
  /** Further entries of `extData`. */
  readonly more?: Readonly<Record<string, string>>;
}

let keys = 0;

/** Stores a publish as a Java node does. `port`: of the broker. */
export async function javaPublish(port: number, publish: JavaPublish): Promise<void> {
  const { topic, payload, qos = 1, filters = [], more = {} } = publish;
  const isEmpty = payload === '';
  keys += 1;
  await produce(port, {
    topic: topic.split('/')[0]!,
    body: isEmpty ? emptyPayload : payload,
    properties: {
      TAGS: 'MQTT_COMMON',
      UNIQ_KEY: `7F0000010A2B18B4AAC2${keys.toString(16).toUpperCase().padStart(12, '0')}`,
      WAIT: 'true',
      originMqttTopic: topic,
      IS_EMPTY_MSG: String(isEmpty),
      qosLevel: String(qos),
      retryTimes: '0',
      extData: JSON.stringify({ qosLevel: String(qos), ...more }),
      INNER_MULTI_DISPATCH: [topic, ...filters].map(javaLmqName).join(','),
    },
  });
}

/** A position as a Java node keeps it. */
export async function javaCommit(
  port: number,
  clientId: string,
  filter: string,
  offset: number,
): Promise<void> {
  const answer = await remotingRequest(port, updateOffsetCode, {
    ...{ consumerGroup: `%LMQ%${clientId}`, topic: javaLmqName(filter), queueId: '0' },
    commitOffset: String(offset),
  });
  if (answer.code !== 0) throw new Error(`${filter}: ${answer.code} ${answer.remark}`);
}

/** undefined: none is kept. */
export async function javaPosition(
  port: number,
  clientId: string,
  filter: string,
): Promise<number | undefined> {
  const answer = await remotingRequest(port, queryOffsetCode, {
    ...{ consumerGroup: `%LMQ%${clientId}`, topic: javaLmqName(filter), queueId: '0' },
    setZeroIfNotFound: 'false',
  });
  return answer.code === 0 ? Number(answer.fields['offset']) : undefined;
}

/** One past the last message that a client of a Java node finds for the filter. */
export async function javaEnd(port: number, filter: string): Promise<number> {
  const answer = await remotingRequest(port, maxOffsetCode, {
    ...{ topic: javaLmqName(filter), queueId: '0' },
  });
  return Number(answer.fields['offset']);
}

/** The bytes of the messages from there on, as text: payloads and properties can be seen in it. */
export async function javaPull(port: number, filter: string, from: number): Promise<string> {
  const answer = await remotingRequest(port, pullCode, {
    ...{ consumerGroup: 'CID_RMQ_SYS_LMQ_PULL', topic: javaLmqName(filter), queueId: '0' },
    ...{ queueOffset: String(from), maxMsgNums: '32', sysFlag: '4', commitOffset: '0' },
    ...{ suspendTimeoutMillis: '0', subscription: '*', subVersion: '0', expressionType: 'TAG' },
  });
  return answer.body;
}

export interface JavaEvent {
  readonly pubTopic: string;
  readonly queueId: number;
  readonly brokerName: string;
}

/** The port of a Java node that is told of new messages. */
export class JavaEventPort {
  readonly events: JavaEvent[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      let read: Buffer = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        read = Buffer.concat([read, chunk]);
        while (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) {
          const end = 4 + read.readUInt32BE(0);
          this.#take(socket, read.subarray(0, end));
          read = read.subarray(end);
        }
      });
    });
  }

  async listen(host: string, port: number): Promise<void> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(socket: Socket, frame: Buffer): void {
    const bodyAt = 8 + (frame.readUInt32BE(4) & 0xff_ff_ff);
    const { code, opaque } = JSON.parse(frame.toString('utf8', 8, bodyAt)) as {
      readonly code: number;
      readonly opaque: number;
    };
    if (code === notifyCode)
      this.events.push(...(JSON.parse(frame.toString('utf8', bodyAt)) as JavaEvent[]));
    const header = Buffer.from(
      JSON.stringify({ code: success, flag: 1, language: 'JAVA', opaque, version: 393 }),
    );
    const head = Buffer.alloc(8);
    head.writeUInt32BE(4 + header.length, 0);
    head.writeUInt32BE(header.length, 4);
    socket.write(Buffer.concat([head, header]));
  }
}
