// A broker and its name server, with what they have stored in memory. The test says what
// becomes of each send, and when the broker dies and comes back.
import { Loopback } from './loopback.ts';
import { turns } from './moved-clock.ts';
import { answerTo, type Asked, RemotingPeer } from './remoting-peer.ts';
import { storedBytes } from './rocketmq-stored.ts';

/**
 * stored: and answered; unanswered: stored, and nobody is told; torn: the same, but what follows
 * the key was not written, as when the broker is killed meanwhile; lost: neither; a number: refused
 * with this code.
 */
export type Fate = 'stored' | 'unanswered' | 'torn' | 'lost' | number;

export interface SentMessage {
  readonly topic: string;
  readonly queueId: number;
  readonly properties: ReadonlyMap<string, string>;
  readonly text: string;
}

interface WaitingPull {
  readonly asked: Asked;
  readonly offset: number;
}

const codes = {
  pull: 11,
  createTopic: 17,
  brokerConfig: 26,
  runtimeInfo: 28,
  searchOffset: 29,
  maxOffset: 30,
  minOffset: 31,
  route: 105,
  clusterInfo: 106,
  send: 310,
};
const invalidParameter = 29;
const systemBusy = 2;
const topicNotExist = 17;
const pullNotFound = 19;
const pullMessages = 32;
/** Odd, so that a message may be in one of its queues and not yet in another. */
const indexedAtOnce = 13;
const suspendFlag = 2;

export class ScriptedBroker {
  readonly name = 'broker-a';
  readonly #peer = new RemotingPeer();
  readonly #nameServer = new RemotingPeer();
  #port = 0;
  /** The broker's `waitTimeMillsInSendQueue`. */
  sendQueueWaitMs = 50;
  /** Another one is another run of the program. */
  bootTimestamp = '1';
  writeQueues = 4;
  sendThreads = 1;
  fate: (sent: SentMessage) => Fate = () => 'stored';
  /** All sends, whatever became of them. */
  readonly sent: SentMessage[] = [];
  /** Offsets of pulls that do not wait, by queue. */
  readonly pulled: { readonly queue: string; readonly offset: number }[] = [];
  /** What it says where those of a time begin: all of them; false: it refuses to say. */
  searches = true;
  /** How long each place of a message takes to be indexed; undefined: no time. */
  indexLagMs: (() => number) | undefined;
  readonly #queues = new Map<string, Buffer[]>();
  readonly #given = new Map<string, number>();
  /** Places of what is stored, in the order in which they will be indexed. */
  readonly #unindexed: { readonly queue: string; readonly bytes: Buffer }[] = [];
  #indexing: NodeJS.Timeout | undefined;
  /** Messages of all queues. */
  readonly #log: SentMessage[] = [];
  readonly #topics = new Set<string>(['broker-a']);
  readonly #waiting = new Map<string, WaitingPull[]>();
  #isAway = true;
  #loopback: Loopback | undefined;

  async start(): Promise<void> {
    this.#peer.onAsked = (asked) => this.#take(asked);
    this.#nameServer.onAsked = (asked) => this.#take(asked);
    this.#loopback = await Loopback.open();
    await this.#nameServer.listen();
    await this.comeBack();
    this.#port = Number(this.#peer.address.split(':')[1]);
  }

  get nameServer(): string {
    return this.#nameServer.address;
  }

  /** What is on its way to it and back has arrived. */
  async settled(): Promise<void> {
    await turns();
    await this.#loopback?.roundTrip();
    await turns();
  }

  async close(): Promise<void> {
    this.#loopback?.close();
    await this.#nameServer.close();
    if (!this.#isAway) await this.#peer.close();
  }

  /** In the order in which they were stored. */
  storedIn(topic: string): SentMessage[] {
    return this.#log.filter((message) => message.topic === topic);
  }

  /** In its queues at once, or, where there is a lag, when it is indexed. */
  store(message: SentMessage, isTorn = false): number {
    const { topic, queueId, properties, text } = message;
    const name = `${topic}/${queueId}`;
    const queueOffset = this.#give(name);
    const lmqNames = (properties.get('INNER_MULTI_DISPATCH') ?? '').split(',').filter(Boolean);
    const lmqs = isTorn ? [] : lmqNames.map((lmqName) => `${lmqName}/0`);
    const pairs = [...properties].map(([key, value]) => `${key}\u0001${value}\u0002`).join('');
    const bytes = storedBytes({
      ...{ topic, queueId, queueOffset, properties: pairs },
      ...(lmqs.length === 0 ? {} : { lmqOffsets: lmqs.map((lmq) => this.#give(lmq)) }),
      body: Buffer.from(text),
    });
    const key = properties.get('UNIQ_KEY') ?? '';
    if (isTorn) bytes.fill(0, bytes.indexOf(key) + key.length + 1);
    else this.#log.push(message);
    for (const queue of [name, ...lmqs]) this.#unindexed.push({ queue, bytes });
    if (this.indexLagMs === undefined) this.#indexAll();
    else if (this.#indexing === undefined) this.#indexNext();
    return queueOffset;
  }

  /** The next offset of the queue. */
  #give(queue: string): number {
    const offset = this.#given.get(queue) ?? 0;
    this.#given.set(queue, offset + 1);
    return offset;
  }

  #indexNext(): void {
    this.#indexing = setTimeout(() => {
      this.#indexing = undefined;
      for (let n = 0; n < indexedAtOnce && this.#unindexed.length > 0; n += 1) this.#index();
      if (this.#unindexed.length > 0) this.#indexNext();
    }, this.indexLagMs?.());
  }

  #indexAll(): void {
    clearTimeout(this.#indexing);
    this.#indexing = undefined;
    while (this.#unindexed.length > 0) this.#index();
  }

  #index(): void {
    const { queue, bytes } = this.#unindexed.shift()!;
    const stored = this.#queues.get(queue) ?? [];
    this.#queues.set(queue, stored);
    stored.push(bytes);
    const waiting = this.#waiting.get(queue) ?? [];
    this.#waiting.delete(queue);
    for (const { asked, offset } of waiting) this.#answerPull(asked, queue, offset);
  }

  /** All connections to it end. */
  cut(): void {
    for (const socket of this.#peer.sockets.splice(0)) socket.destroy();
  }

  /** Nobody listens any more. */
  async goAway(): Promise<void> {
    this.#isAway = true;
    await this.#peer.close();
    this.#peer.sockets.length = 0;
    this.#waiting.clear();
    clearTimeout(this.#indexing);
    this.#indexing = undefined;
  }

  async comeBack(bootTimestamp: string = this.bootTimestamp): Promise<void> {
    this.bootTimestamp = bootTimestamp;
    this.#isAway = false;
    this.#indexAll();
    await this.#peer.listen(this.#port);
  }

  #take(asked: Asked): void {
    const { code, fields } = asked;
    switch (code) {
      case codes.clusterInfo:
        this.#answer(asked, 0, {}, JSON.stringify(this.#cluster()));
        return;
      case codes.route:
        this.#route(asked);
        return;
      case codes.createTopic:
        this.#topics.add(fields['topic'] ?? '');
        this.#answer(asked, 0);
        return;
      case codes.brokerConfig: {
        const conf = {
          sendMessageThreadPoolNums: this.sendThreads,
          waitTimeMillsInSendQueue: this.sendQueueWaitMs,
        };
        const lines = Object.entries(conf).map(([key, value]) => `${key}=${value}\n`);
        this.#answer(asked, 0, {}, lines.join(''));
        return;
      }
      case codes.runtimeInfo: {
        const { bootTimestamp } = this;
        this.#answer(asked, 0, {}, JSON.stringify({ table: { bootTimestamp } }));
        return;
      }
      case codes.maxOffset:
        this.#answer(asked, 0, { offset: `${this.#endOf(nameIn(fields))}` });
        return;
      case codes.minOffset:
        this.#answer(asked, 0, { offset: '0' });
        return;
      case codes.searchOffset:
        this.#answer(asked, this.searches ? 0 : systemBusy, { offset: '0' });
        return;
      case codes.pull:
        this.#pull(asked);
        return;
      case codes.send:
        this.#send(asked);
        return;
      default:
        this.#answer(asked, 3);
    }
  }

  #cluster(): object {
    const brokerAddrs = { 0: this.#peer.address };
    const its = { brokerName: this.name, cluster: 'c', brokerAddrs };
    return { brokerAddrTable: { [this.name]: its } };
  }

  #route(asked: Asked): void {
    if (!this.#topics.has(asked.fields['topic'] ?? '')) {
      this.#answer(asked, topicNotExist);
      return;
    }
    const { writeQueues, name } = this;
    const counts = { readQueueNums: writeQueues, writeQueueNums: writeQueues, perm: 6 };
    const route = {
      brokerDatas: [{ brokerName: name, cluster: 'c', brokerAddrs: { 0: this.#peer.address } }],
      queueDatas: [{ brokerName: name, ...counts }],
    };
    this.#answer(asked, 0, {}, JSON.stringify(route));
  }

  #pull(asked: Asked): void {
    const { fields } = asked;
    const name = nameIn(fields);
    const offset = Number(fields['queueOffset']);
    const waits = (Number(fields['sysFlag']) & suspendFlag) !== 0;
    if (!waits && offset < this.#endOf(name)) this.pulled.push({ queue: name, offset });
    if (!waits || offset < this.#endOf(name)) {
      this.#answerPull(asked, name, offset);
      return;
    }
    const waiting = this.#waiting.get(name) ?? [];
    waiting.push({ asked, offset });
    this.#waiting.set(name, waiting);
  }

  #answerPull(asked: Asked, name: string, offset: number): void {
    const end = this.#endOf(name);
    const bodies = (this.#queues.get(name) ?? []).slice(offset, offset + pullMessages);
    const next = offset + bodies.length;
    const places = { nextBeginOffset: `${next}`, minOffset: '0', maxOffset: `${end}` };
    const body = Buffer.concat(bodies);
    this.#answer(asked, bodies.length > 0 ? 0 : pullNotFound, places, body);
  }

  #send(asked: Asked): void {
    const { b: topic = '', e: queueId, i: properties = '' } = asked.fields;
    const message: SentMessage = {
      ...{ topic, queueId: Number(queueId) },
      properties: new Map(pairsOf(properties)),
      text: asked.body.toString(),
    };
    this.sent.push(message);
    if (message.queueId >= this.writeQueues && topic !== this.name) {
      const remark = `request queueId[${queueId}] is illegal, TopicConfig ...`;
      this.#answer(asked, invalidParameter, {}, '', remark);
      return;
    }
    const fate = this.fate(message);
    if (typeof fate === 'number') this.#answer(asked, fate);
    if (fate === 'lost' || typeof fate === 'number') return;
    const queueOffset = `${this.store(message, fate === 'torn')}`;
    if (fate === 'stored')
      this.#answer(asked, 0, { queueId: queueId ?? '0', queueOffset, msgId: 'm' });
  }

  #endOf(name: string): number {
    return this.#queues.get(name)?.length ?? 0;
  }

  #answer(
    asked: Asked,
    code: number,
    fields: Readonly<Record<string, string>> = {},
    body: string | Buffer = '',
    remark?: string,
  ): void {
    const { socket } = asked;
    const rest = { body: Buffer.from(body), ...(remark === undefined ? {} : { remark }) };
    if (!socket.destroyed) socket.write(answerTo(asked, code, fields, rest));
  }
}

function nameIn(fields: Readonly<Record<string, string>>): string {
  return `${fields['topic']}/${fields['queueId']}`;
}

function* pairsOf(properties: string): Iterable<readonly [string, string]> {
  for (const pair of properties.split('\u0002')) {
    const at = pair.indexOf('\u0001');
    if (at > 0) yield [pair.slice(0, at), pair.slice(at + 1)];
  }
}
