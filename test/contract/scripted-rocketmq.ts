// A RocketMQ that says what a test wants: name servers and brokers that come, go, fall silent, and
// answer late. They know topics and offsets, and keep no messages.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

const headBytes = 8;
const requestCodes = {
  send: 310,
  pull: 11,
  createTopic: 17,
  brokerConfig: 26,
  searchOffset: 29,
  maxOffset: 30,
  minOffset: 31,
  route: 105,
  clusterInfo: 106,
  deleteTopic: 215,
} as const;
const notExistCode = 17;
const illegalQueueCode = 1;
const pullNothingCode = 19;

interface Asked {
  readonly code: number;
  readonly opaque: number;
  readonly fields: Readonly<Record<string, string>>;
}

interface Said {
  readonly code?: number;
  readonly fields?: Readonly<Record<string, string>>;
  readonly remark?: string;
  readonly body?: string;
  readonly afterMs?: number;
}

/** undefined: no answer. */
type Script = (asked: Asked) => Said | undefined;

class Peer {
  readonly #script: Script;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(script: Script) {
    this.#script = script;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Starts where it was before. */
  async start(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
    this.#server = server;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    let read: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk]);
      while (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) {
        const end = 4 + read.readUInt32BE(0);
        this.#answer(socket, askedIn(read.subarray(0, end)));
        read = read.subarray(end);
      }
    });
  }

  #answer(socket: Socket, asked: Asked): void {
    const said = this.#script(asked);
    if (said === undefined) return;
    const { code = 0, fields = {}, remark, body = '', afterMs = 0 } = said;
    const { opaque } = asked;
    const header = {
      code,
      extFields: fields,
      flag: 1,
      language: 'JAVA',
      opaque,
      remark,
      version: 9,
    };
    const bytes = frameOf(JSON.stringify(header), body);
    if (afterMs === 0) socket.write(bytes);
    else setTimeout(() => socket.destroyed || socket.write(bytes), afterMs).unref();
  }
}

export class ScriptedBroker {
  readonly name: string;
  readonly peer: Peer;
  /** Queues by topic. */
  readonly topics: Map<string, number> = new Map();
  /** Requests of these names are not answered. */
  readonly mute: Set<keyof typeof requestCodes> = new Set();
  /** Answers to requests of these names, instead of the ones that they ask for. */
  readonly refusing: Map<keyof typeof requestCodes, Said> = new Map();
  /** How much later than asked for a pull is answered that waits. */
  heldLateMs = 0;
  /** Its answer to the question where the messages of a time begin. */
  sinceOffset = 0;
  /** Ends of light queues. */
  readonly ends: Map<string, number> = new Map();
  /** Whether marks can be read at once; what it has of them. */
  indexes = true;
  marks = 0;
  readonly sent: string[] = [];
  readonly pulled: Map<string, number> = new Map();
  readonly deleted: string[] = [];

  constructor(name: string) {
    this.name = name;
    this.peer = new Peer((asked) => this.#say(asked));
  }

  #say({ code, fields }: Asked): Said | undefined {
    for (const name of this.mute) if (code === requestCodes[name]) return undefined;
    for (const [name, said] of this.refusing) {
      if (code !== requestCodes[name]) continue;
      if (name === 'send') this.sent.push(fields['b'] ?? '');
      return said;
    }
    const topic = fields['topic'] ?? fields['b'] ?? '';
    switch (code) {
      case requestCodes.brokerConfig:
        return { body: 'sendMessageThreadPoolNums=4\nstoreType=default\n' };
      case requestCodes.createTopic:
        this.topics.set(topic, Number(fields['readQueueNums']));
        return {};
      case requestCodes.maxOffset:
        return { fields: { offset: `${this.ends.get(topic) ?? 0}` } };
      case requestCodes.minOffset:
        return { fields: { offset: '0' } };
      case requestCodes.searchOffset:
        return { fields: { offset: `${this.sinceOffset}` } };
      case requestCodes.deleteTopic:
        this.deleted.push(topic);
        this.ends.delete(topic);
        return {};
      case requestCodes.pull:
        return this.#pulled(topic, fields);
      case requestCodes.send:
        return this.#send(topic, fields['e'] ?? '0');
      default:
        return {};
    }
  }

  /** Only marks, which are in the topic of the broker's own name, are counted. */
  #send(topic: string, queueId: string): Said {
    this.sent.push(topic);
    if (topic !== this.name) return { fields: { queueId, queueOffset: '0', msgId: 'id' } };
    const queueOffset = `${this.marks}`;
    this.marks += 1;
    if (this.indexes) this.ends.set(topic, this.marks);
    return { fields: { queueId, queueOffset, msgId: 'id' } };
  }

  #pulled(topic: string, fields: Readonly<Record<string, string>>): Said {
    const queueId = Number(fields['queueId']);
    const queue = `${topic}/${queueId}`;
    this.pulled.set(queue, (this.pulled.get(queue) ?? 0) + 1);
    if (queueId >= (this.topics.get(topic) ?? 1))
      return { code: illegalQueueCode, remark: 'illegal' };
    const offset = fields['queueOffset'] ?? '0';
    const suspendMs = Number(fields['suspendTimeoutMillis']);
    return {
      code: pullNothingCode,
      fields: { nextBeginOffset: offset, minOffset: '0', maxOffset: offset },
      afterMs: suspendMs > 0 ? suspendMs + this.heldLateMs : 0,
    };
  }
}

export class ScriptedRocketmq {
  readonly brokers: readonly ScriptedBroker[];
  readonly namesrv: Peer;
  /** Those that the name server names. */
  readonly named: Set<ScriptedBroker> = new Set();

  constructor(...names: string[]) {
    this.brokers = names.map((name) => new ScriptedBroker(name));
    this.namesrv = new Peer((asked) => this.#say(asked));
  }

  broker(name: string): ScriptedBroker {
    const found = this.brokers.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no broker ${name}`);
    return found;
  }

  async start(): Promise<void> {
    await Promise.all(
      [this.namesrv, ...this.brokers.map(({ peer }) => peer)].map((each) => each.start()),
    );
    for (const broker of this.brokers) this.named.add(broker);
  }

  /** Killed: the name server sees that its connection is closed. */
  async kill(name: string): Promise<void> {
    const broker = this.broker(name);
    this.named.delete(broker);
    await broker.peer.stop();
  }

  async restart(name: string): Promise<void> {
    const broker = this.broker(name);
    await broker.peer.start();
    this.named.add(broker);
  }

  async stop(): Promise<void> {
    await Promise.all(
      [this.namesrv, ...this.brokers.map(({ peer }) => peer)].map((each) => each.stop()),
    );
  }

  #say({ code, fields }: Asked): Said {
    const data = [...this.named].map(({ name, peer }) => ({
      brokerName: name,
      cluster: 'DefaultCluster',
      brokerAddrs: { '0': peer.address },
    }));
    if (code === requestCodes.clusterInfo) {
      const table = Object.fromEntries(data.map((each) => [each.brokerName, each]));
      return { body: JSON.stringify({ brokerAddrTable: table }) };
    }
    const topic = fields['topic'] ?? '';
    const having = [...this.named].filter(({ topics }) => topics.has(topic));
    if (having.length === 0) return { code: notExistCode, remark: 'no route' };
    const names = new Set(having.map(({ name }) => name));
    return {
      body: JSON.stringify({
        brokerDatas: data.filter(({ brokerName }) => names.has(brokerName)),
        queueDatas: having.map(({ name, topics }) => {
          const count = topics.get(topic);
          return { brokerName: name, readQueueNums: count, writeQueueNums: count, perm: 6 };
        }),
      }),
    };
  }
}

function askedIn(frame: Buffer): Asked {
  const headerBytes = frame.readUInt32BE(4) & 0xff_ff_ff;
  const text = frame.toString('utf8', headBytes, headBytes + headerBytes);
  const {
    code,
    opaque,
    extFields = {},
  } = JSON.parse(text) as {
    readonly code: number;
    readonly opaque: number;
    readonly extFields?: Record<string, string>;
  };
  return { code, opaque, fields: extFields };
}

function frameOf(header: string, body: string): Buffer {
  const head = Buffer.alloc(headBytes);
  const [headerBytes, bodyBytes] = [Buffer.from(header), Buffer.from(body)];
  head.writeUInt32BE(4 + headerBytes.length + bodyBytes.length, 0);
  head.writeUInt32BE(headerBytes.length, 4);
  return Buffer.concat([head, headerBytes, bodyBytes]);
}
