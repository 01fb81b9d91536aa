import { randomUUID } from 'node:crypto';
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { CallType } from '@lmqtt/proto/calls';
import {
  exchangeMethod,
  frameBytesMax,
  metadataNames,
  protocolVersion,
} from '@lmqtt/proto/dispatch';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { PresentedSession, Publish, QueueEnd, ReadAnswer, Refusal } from '@lmqtt/proto/link';
import { type DownstreamHandler, readDownstream } from '@lmqtt/proto/wire/downstream-reader';
import { Exchange, type FrameTaker } from '@lmqtt/proto/wire/exchange';
import type { Pulse, Welcome } from '@lmqtt/proto/wire/pulse';
import { writeCall, writePresents, writePublishes } from '@lmqtt/proto/wire/upstream';
import type { WireReader } from '@lmqtt/proto/wire/wire-reader';
import { until } from './fake-cs.ts';

export interface PeerOptions {
  readonly port: number;
  readonly node?: string;
  readonly instance?: string;
  readonly secret?: string;
  readonly protocol?: string;
  readonly credentials?: ChannelCredentials;
}

export interface Ended {
  readonly code: number;
  readonly detail: string;
}

/** A cs reduced to its end of the stream: real frames over real gRPC, and what came of them. */
export class RpcPeer implements DownstreamHandler, FrameTaker {
  readonly node: string;
  readonly #options: PeerOptions;
  readonly #instance: string;
  readonly exchange: Exchange;
  welcome: Welcome | undefined = undefined;
  /** How the last stream ended; undefined while it is open. */
  ended: Ended | undefined = undefined;
  /** Numbers of publishes of its own that came back as pushes. */
  readonly echoed: number[] = [];
  readonly #sent = new Map<number, Message>();
  /** Frames that came are thrown away, as by a network that loses them. */
  deaf = false;
  /** So many of the next frames with items do not leave. */
  losing = 0;
  /** Reason codes by the numbers of publishes. */
  readonly answered: number[] = [];
  readonly refusedQos0: number[] = [];
  readonly fences: GroupFence[] = [];
  readonly pushed: Message[] = [];
  readonly assigned: Assignment[] = [];
  readonly kicked: { session: SessionHandle; reasonCode: number }[] = [];
  readonly told: { session: SessionHandle; rights: string | undefined }[] = [];
  readonly ends: QueueEnd[] = [];
  readonly durableWrites: number[] = [];
  readonly fencedWrites: number[] = [];
  readonly renewedNumbers: number[] = [];
  /** Wish of an operator in the last answer to a Renew. */
  drainWish: boolean | undefined = undefined;
  /** Among them: heard, and not confirmed. */
  readonly unconfirmedNumbers: number[] = [];
  readonly reads: ReadAnswer[] = [];
  refusals: Refusal[] | undefined = undefined;
  #client: Client | undefined = undefined;
  #call: ClientDuplexStream<Buffer, Buffer> | undefined = undefined;
  readonly #answers = new Map<number, (body: Buffer | Error) => void>();
  #calls = 0;
  #published = 0;
  #renews = 0;

  constructor(options: PeerOptions) {
    this.#options = options;
    this.node = options.node ?? 'cs';
    this.#instance = options.instance ?? randomUUID();
    this.exchange = new Exchange({ windowFrames: 8, frameBytesMax }, this);
  }

  /** Opens a stream and presents sessions; resolves when they are answered. */
  static async attached(options: PeerOptions, sessions: PresentedSession[] = []): Promise<RpcPeer> {
    const peer = new RpcPeer(options);
    await peer.attach(sessions);
    return peer;
  }

  get isOpen(): boolean {
    return this.ended === undefined;
  }

  async attach(sessions: PresentedSession[] = []): Promise<void> {
    await this.open();
    writePresents(this.exchange, sessions, true);
    await until(() => this.refusals !== undefined || this.ended !== undefined, 'admission');
    if (this.ended !== undefined) throw new Error(`${this.ended.code} ${this.ended.detail}`);
  }

  /** A new connection; takes the attachment up again where there was one. Until welcome or end. */
  async open(): Promise<void> {
    this.cut();
    const before = this.welcome;
    this.ended = undefined;
    const { client, call } = this.#newStream();
    this.#client = client;
    this.#call = call;
    call.on('data', (frame: Buffer) => {
      if (this.#call !== call || this.deaf) return;
      if (!this.exchange.receive(frame)) this.cut();
    });
    call.on('error', (error: ServiceError) => this.#end(call, error.code, error.details));
    call.on('end', () => this.#end(call, 0, ''));
    this.exchange.bind((frame) => {
      if (this.losing > 0 && frame.readUInt32LE(1) > 0) this.losing -= 1;
      else call.write(frame);
    });
    await until(() => this.welcome !== before || this.ended !== undefined, 'welcome');
  }

  /** Another stream of the same attachment, of which nothing is taken. Gives its end. */
  beside(): () => void {
    const { client, call } = this.#newStream();
    call.on('error', () => {}).resume();
    return () => {
      call.cancel();
      client.close();
    };
  }

  /** The connection breaks: what is on its way is lost. */
  cut(): void {
    this.exchange.unbind();
    const call = this.#call;
    this.#call = undefined;
    call?.cancel();
    this.#client?.close();
    this.#client = undefined;
  }

  /** Bytes that no exchange wrote. */
  sendRaw(frame: Buffer): void {
    this.#call?.write(frame);
  }

  renew(counters: Record<string, number> = {}, connections = 0, draining = false): number {
    this.#renews += 1;
    this.exchange.pulse({ renew: { number: this.#renews, counters, connections, draining } });
    return this.#renews;
  }

  /** Gives the number of the first one at QoS 1 or 2. */
  publish(batch: Publish[]): number {
    const first = this.#published + 1;
    for (const { message } of batch) {
      if (message.qos === 0) continue;
      this.#published += 1;
      this.#sent.set(this.#published, message);
    }
    writePublishes(this.exchange, first, batch);
    return first;
  }

  call<Request, Answer>(type: CallType<Request, Answer>, request: Request): Promise<Answer> {
    return this.rawCall(type.method, type.request.encode(request)).then((body) =>
      type.answer.decode(body),
    );
  }

  rawCall(method: number, body: Buffer): Promise<Buffer> {
    this.#calls += 1;
    const id = this.#calls;
    return new Promise((resolve, reject) => {
      this.#answers.set(id, (answer) => {
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
      writeCall(this.exchange, 'control', id, method, body);
    });
  }

  pulse(pulse: Pulse): void {
    const { welcome, renewed } = pulse;
    if (renewed !== undefined) {
      this.renewedNumbers.push(renewed.number);
      this.drainWish = renewed.drain;
    }
    if (renewed?.unconfirmed === true) this.unconfirmedNumbers.push(renewed.number);
    if (welcome === undefined) return;
    this.welcome = welcome;
    if (!welcome.resumed) this.exchange.reset();
    this.exchange.resume(welcome.received);
  }

  item(reader: WireReader, field: number, end: number): void {
    readDownstream(this, reader, field, end);
  }

  published(first: number, reasonCodes: Uint8Array): void {
    reasonCodes.forEach((code, index) => {
      this.answered[first + index] = code;
    });
  }

  refused(_session: SessionHandle, reasonCode: number): void {
    this.refusedQos0.push(reasonCode);
  }

  sent(number: number): Message | undefined {
    this.echoed.push(number);
    return this.answered[number] === undefined ? this.#sent.get(number) : undefined;
  }

  push(batch: Message[]): void {
    this.pushed.push(...batch);
  }

  assign(batch: Assignment[]): void {
    this.assigned.push(...batch);
  }

  fence(fence: GroupFence): void {
    this.fences.push(fence);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.told.push({ session, rights });
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.kicked.push({ session, reasonCode });
  }

  behind(ends: QueueEnd[]): void {
    this.ends.push(...ends);
  }

  durable(numbers: number[], fenced: number[]): void {
    this.durableWrites.push(...numbers);
    this.fencedWrites.push(...fenced);
  }

  answer(id: number, body: Buffer): void {
    this.#answers.get(id)?.(body);
    this.#answers.delete(id);
  }

  failed(id: number, error: string): void {
    this.#answers.get(id)?.(new Error(error));
    this.#answers.delete(id);
  }

  readAnswer(_id: number, answer: ReadAnswer): void {
    this.reads.push(answer);
  }

  presented(refusals: Refusal[]): void {
    this.refusals = refusals;
  }

  #newStream(): { client: Client; call: ClientDuplexStream<Buffer, Buffer> } {
    const { port, secret, protocol, credentials: given } = this.#options;
    const metadata = new Metadata();
    metadata.set(metadataNames.protocol, protocol ?? String(protocolVersion));
    metadata.set(metadataNames.node, this.node);
    metadata.set(metadataNames.instance, this.#instance);
    if (secret !== undefined) metadata.set(metadataNames.secret, secret);
    if (this.welcome !== undefined) {
      metadata.set(metadataNames.attachment, this.welcome.attachment);
      metadata.set(metadataNames.received, String(this.exchange.received));
    }
    const client = new Client(`127.0.0.1:${port}`, given ?? credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      'grpc.enable_channelz': 0,
    });
    const { path, requestSerialize, responseDeserialize } = exchangeMethod;
    return {
      client,
      call: client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata),
    };
  }

  #end(call: ClientDuplexStream<Buffer, Buffer>, code: number, detail: string): void {
    if (this.#call !== call || this.ended !== undefined) return;
    this.ended = { code, detail };
    this.exchange.unbind();
  }
}
