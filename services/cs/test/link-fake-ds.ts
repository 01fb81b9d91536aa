import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { SessionHandle } from '@lmqtt/common/ids';
import { calls } from '@lmqtt/proto/calls';
import { exchangeMethod, frameBytesMax, metadataNames, pulsesMethod } from '@lmqtt/proto/dispatch';
import type { PresentedSession, ReadRequest, Refusal, SessionWrite } from '@lmqtt/proto/link';
import {
  writeAnswer,
  writeDurable,
  writePresented,
  writePublished,
} from '@lmqtt/proto/wire/downstream-writer';
import { Exchange, type ExchangeLimits, type FrameTaker } from '@lmqtt/proto/wire/exchange';
import { pulseFrame, readPulse } from '@lmqtt/proto/wire/frame';
import type { Pulse, Renew } from '@lmqtt/proto/wire/pulse';
import {
  type NumberedPublish,
  readUpstream,
  type UpstreamHandler,
} from '@lmqtt/proto/wire/upstream';
import type { WireReader } from '@lmqtt/proto/wire/wire-reader';
import { WireWriter } from '@lmqtt/proto/wire/wire-writer';
import type { Directory, DsNode } from '../src/link/directory.ts';
import { Watched } from './link-fixture.ts';

/** Items that are answered at once unless a test holds them back. */
export type Held = 'publishes' | 'writes' | 'calls' | 'presents' | 'renewals' | 'welcome';

export interface Call {
  readonly id: number;
  readonly method: number;
  readonly body: Buffer;
}

interface Lane {
  attachment: string;
  exchange: Exchange;
  stream: ServerDuplexStream<Buffer, Buffer> | undefined;
}

const host = '127.0.0.1';
const limits: ExchangeLimits = { windowFrames: 8, frameBytesMax };
const nothing: FrameTaker = { pulse() {}, item() {} };

/**
 * A ds that stores nothing: the real server, exchange and codecs, with answers as a test wants
 * them; one attachment for each node. It forgets attachments when it is told to; until then streams
 * take them up again.
 */
export class FakeDs extends Watched implements Directory {
  readonly id: string;
  /** In order: what arrived. */
  readonly log: string[] = [];
  readonly publishes: NumberedPublish[] = [];
  readonly presented: PresentedSession[] = [];
  readonly calls: Call[] = [];
  readonly reads: { readonly id: number; readonly request: ReadRequest }[] = [];
  readonly writes: { readonly number: number; readonly batch: SessionWrite[] }[] = [];
  readonly renewals: Renew[] = [];
  readonly credits: { readonly session: SessionHandle; readonly total: number }[] = [];
  readonly metadata: Record<string, string>[] = [];
  readonly held: Set<Held> = new Set();
  readonly answerOf: Map<number, (body: Buffer) => Buffer> = new Map();
  refusals: Refusal[] = [];
  refuse: { readonly code: status; readonly details: string } | undefined = undefined;
  /** Frames that pass, for those that a test loses or repeats. */
  up: (frame: Buffer) => Buffer[] = (frame) => [frame];
  down: (frame: Buffer) => Buffer[] = (frame) => [frame];
  wallAheadMs = 0;
  /** Renewals are heard, and confirmed by nobody. */
  unconfirmed = false;
  /** Whether a second stream is taken, for renewals. */
  takesPulses = false;
  streams = 0;
  readonly #leaseMs: number;
  readonly #server: Server = new Server();
  readonly #lanes: Map<string, Lane> = new Map();
  /** The one that was heard last. */
  #lane: Lane;
  #attachments = 0;
  #port = 0;

  static async start(
    t: TestContext,
    options: { leaseMs?: number; credentials?: ServerCredentials; id?: string } = {},
  ): Promise<FakeDs> {
    const ds = new FakeDs(options.id ?? 'ds-1', options.leaseMs ?? 3000);
    await ds.#listen(options.credentials ?? ServerCredentials.createInsecure());
    t.after(() => ds.#server.forceShutdown());
    return ds;
  }

  private constructor(id: string, leaseMs: number) {
    super();
    this.id = id;
    this.#leaseMs = leaseMs;
    this.#lane = this.#newLane();
    for (const type of [calls.disconnect, calls.leave])
      this.answerOf.set(type.method, () => type.answer.encode(undefined));
  }

  nodes(): readonly DsNode[] {
    return [this.dsNode];
  }

  get dsNode(): DsNode {
    return { id: this.id, host, port: this.#port, draining: false };
  }

  onChange(): () => void {
    return () => {};
  }

  // Steps of a test

  /** Exchange of the lane that was heard last. */
  get exchange(): Exchange {
    return this.#lane.exchange;
  }

  /** The streams break, or that of one node; the attachments stay. */
  cut(node?: string): void {
    for (const [of, lane] of this.#lanes) {
      const { stream } = lane;
      if (node !== undefined && node !== of) continue;
      lane.stream = undefined;
      lane.exchange.unbind();
      stream?.emit('error', { code: status.UNAVAILABLE, details: 'cut by the test' });
    }
  }

  /** As if this were another process: nothing is known of who was attached, or of one node. */
  forget(node?: string): void {
    for (const [of, lane] of this.#lanes) {
      if (node !== undefined && node !== of) continue;
      lane.attachment = '';
      lane.exchange.unbind();
      lane.exchange = this.#newExchange(lane);
    }
  }

  answerPublishes(
    batch: readonly NumberedPublish[],
    reasonCode = 0,
    exchange: Exchange = this.exchange,
  ): void {
    for (const publish of batch) publish.reasonCode = reasonCode;
    writePublished(exchange, 'control', batch);
  }

  answerPresents(exchange: Exchange = this.exchange): void {
    writePresented(exchange, this.refusals);
  }

  send(frame: Buffer): void {
    this.#send(this.#lane, frame);
  }

  #send(lane: Lane, frame: Buffer): void {
    for (const each of this.down(frame)) lane.stream?.write(each);
  }

  // The server

  #newLane(): Lane {
    const lane: Lane = {
      attachment: '',
      exchange: new Exchange(limits, nothing),
      stream: undefined,
    };
    lane.exchange = this.#newExchange(lane);
    return lane;
  }

  #newExchange(lane: Lane): Exchange {
    const handler = this.#handler(lane);
    return new Exchange(limits, {
      pulse: (pulse) => this.#pulse(lane, pulse),
      item: (reader: WireReader, field: number, end: number) =>
        readUpstream(handler, reader, field, end),
    });
  }

  async #listen(credentials: ServerCredentials): Promise<void> {
    this.#server.addService(
      {
        Exchange: { ...exchangeMethod, originalName: 'exchange' },
        Pulses: { ...pulsesMethod, originalName: 'pulses' },
      },
      {
        Exchange: (stream: ServerDuplexStream<Buffer, Buffer>) => this.#opened(stream),
        Pulses: (stream: ServerDuplexStream<Buffer, Buffer>) => this.#pulsesOpened(stream),
      },
    );
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`${host}:0`, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  #pulsesOpened(stream: ServerDuplexStream<Buffer, Buffer>): void {
    stream.on('error', () => {});
    if (!this.takesPulses) {
      stream.emit('error', { code: status.NOT_FOUND, details: 'no second stream' });
      return;
    }
    const writer = new WireWriter();
    stream.on('data', (frame: Buffer) => {
      const { renew } = readPulse(frame);
      if (renew === undefined) return;
      const renewed = {
        number: renew.number,
        timeMs: Date.now(),
        unconfirmed: false,
        pushesWait: false,
        drain: undefined,
      };
      stream.write(pulseFrame(writer, { renewed }));
    });
  }

  #opened(stream: ServerDuplexStream<Buffer, Buffer>): void {
    const metadata = Object.fromEntries(
      Object.values(metadataNames).map((name) => [
        name,
        String(stream.metadata.get(name)[0] ?? ''),
      ]),
    );
    this.metadata.push(metadata);
    this.streams += 1;
    stream.on('error', () => {});
    if (this.refuse !== undefined) {
      stream.emit('error', this.refuse);
      this.happened();
      return;
    }
    const node = metadata['lmqtt-node'] ?? '';
    const lane = this.#lanes.get(node) ?? this.#newLane();
    this.#lanes.set(node, lane);
    this.#lane = lane;
    lane.stream = stream;
    stream.on('data', (frame: Buffer) => this.#arrived(lane, stream, frame));
    stream.on('cancelled', () => {
      if (lane.stream === stream) lane.exchange.unbind();
      this.happened();
    });
    if (!this.held.has('welcome')) this.#welcome(lane, metadata);
    this.happened();
  }

  #welcome(lane: Lane, metadata: Record<string, string>): void {
    const resumed = lane.attachment !== '' && metadata['lmqtt-attachment'] === lane.attachment;
    if (!resumed) {
      lane.exchange = this.#newExchange(lane);
      this.#attachments += 1;
      lane.attachment = `${this.id}/a${this.#attachments}`;
    }
    const { exchange, attachment } = lane;
    const { received } = exchange;
    exchange.bind((frame) => this.#send(lane, frame));
    exchange.pulse({ welcome: { attachment, resumed, received, leaseMs: this.#leaseMs } });
    exchange.resume(resumed ? Number(metadata['lmqtt-received']) : 0);
  }

  #arrived(lane: Lane, stream: ServerDuplexStream<Buffer, Buffer>, frame: Buffer): void {
    if (lane.stream !== stream) return;
    this.#lane = lane;
    for (const each of this.up(frame)) {
      if (lane.exchange.receive(each)) continue;
      this.cut();
      break;
    }
    this.happened();
  }

  #pulse(lane: Lane, { renew }: Pulse): void {
    if (renew === undefined) return;
    this.renewals.push(renew);
    if (this.held.has('renewals')) return;
    const timeMs = Date.now() + this.wallAheadMs;
    const { unconfirmed } = this;
    const renewed = {
      number: renew.number,
      timeMs,
      unconfirmed,
      pushesWait: false,
      drain: undefined,
    };
    lane.exchange.pulse({ renewed });
  }

  #handler(lane: Lane): UpstreamHandler {
    return {
      clientOf: (session) => `client-${session}`,
      publishes: (batch) => {
        this.publishes.push(...batch);
        for (const { message } of batch) this.log.push(`publish ${message.payload.toString()}`);
        if (this.held.has('publishes')) return;
        const answered = batch.filter(({ number }) => number > 0);
        if (answered.length > 0) this.answerPublishes(answered, 0, lane.exchange);
      },
      writes: (number, batch) => {
        this.writes.push({ number, batch });
        this.log.push(`writes ${batch.map(({ kind }) => kind).join(' ')}`.trim());
        if (number > 0 && !this.held.has('writes')) writeDurable(lane.exchange, [number], []);
      },
      credit: (session, total) => {
        this.credits.push({ session, total });
        this.log.push(`credit ${session} ${total}`);
      },
      call: (id, method, body) => {
        this.calls.push({ id, method, body });
        this.log.push(`call ${nameOf(method)}`);
        const answer = this.answerOf.get(method);
        if (answer === undefined || this.held.has('calls')) return;
        writeAnswer(lane.exchange, 'control', id, answer(body));
      },
      read: (id, request) => {
        this.reads.push({ id, request });
        this.log.push('read');
      },
      presents: (sessions, last) => {
        this.presented.push(...sessions);
        this.log.push(`presents ${sessions.length}${last ? ' last' : ''}`);
        if (last && !this.held.has('presents')) this.answerPresents(lane.exchange);
      },
    };
  }
}

function nameOf(method: number): string {
  return Object.entries(calls).find(([, type]) => type.method === method)?.[0] ?? String(method);
}

/** TLS of a ds that shows a certificate, and asks for one of the authority. */
export function mutualTls(files: {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}): ServerCredentials {
  return ServerCredentials.createSsl(
    readFileSync(files.authority),
    [{ private_key: readFileSync(files.key), cert_chain: readFileSync(files.certificate) }],
    true,
  );
}
