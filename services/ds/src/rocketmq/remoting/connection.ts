// One connection to a name server or a broker. It hides the socket and its loss, the numbers that
// join answers to requests, and how requests are gathered for the socket:
// - what is asked for in one turn of the event loop leaves in one write, and there is one write at
//   a time: before each, `mayWrite` is asked;
// - a request that has not been written when it times out, or when the connection is lost or
//   reset, is never written;
// - on a loss all that is outstanding is answered, in the order in which it was asked for, so that
//   nothing overtakes what was asked for before it.
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import { type AnswerHeader, GarbageReceived } from './answer-header.ts';
import type { RequestName } from './codes.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { DeadlineTimer } from './deadline-timer.ts';
import { ConnectionLost, RequestTimeout } from './errors.ts';
import { frameHeadBytes, FrameReader, writeFrame } from './frame.ts';
import { type Failure, Outstanding } from './outstanding.ts';
import { isAddress, RemotingSocket } from './remoting-socket.ts';
import { headerOf, type RemotingRequest } from './request.ts';
import { Signer } from './signer.ts';

const connectTimeoutMs = 3000;
const outstandingMax = 20_000;
const frameBytesMax = 32 * 1024 * 1024;
/** Requests past this wait for the next write. */
const writeBytesMax = 4 * 1024 * 1024;
const opaqueMax = 0x7fff_ffff;
const firstWaitMs = 50;
const longestWaitMs = 1000;

export interface Answer {
  readonly header: AnswerHeader;
  readonly body: Buffer;
}

interface Patience {
  /**
   * Behaviour without a connection: false answers at once, true waits until it can or times out.
   */
  readonly waits: boolean;
}

export class RemotingConnection {
  readonly address: string;
  readonly signer: Signer | undefined;
  readonly requestTimeoutMs: number;
  readonly #options: ConnectionOptions;
  readonly #waits: boolean;
  readonly #deadlines: DeadlineTimer;
  readonly #listeners = new Set<(up: boolean) => void>();
  readonly #outstandingMax: number;
  #outstanding = new Map<number, Outstanding>();
  #unwritten: Outstanding[] = [];
  readonly #flushing: OnceATurn = new OnceATurn(() => this.#flush());
  #writing = false;
  #opaque = 0;
  #socket: RemotingSocket | undefined;
  #up = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  #waitMs = 0;
  #attemptFromMs = 0;
  #lastFailure = 'not connected yet';
  #receivedAtMs = 0;

  constructor(address: string, options: ConnectionOptions, patience: Patience) {
    if (!isAddress(address)) throw new Error(`${address} is not host:port`);
    this.address = address;
    this.#options = options;
    this.#waits = patience.waits;
    this.requestTimeoutMs = options.requestTimeoutMs;
    this.#outstandingMax = options.outstandingMax ?? outstandingMax;
    const { credentials, clock } = options;
    this.signer = credentials === undefined ? undefined : new Signer(credentials);
    this.#deadlines = new DeadlineTimer(clock, (nowMs) => this.#timeOut(nowMs));
  }

  get up(): boolean {
    return this.#up;
  }

  /** While there is a listener, the connection is made again whenever it is lost. */
  onState(listener: (up: boolean) => void): () => void {
    this.#listeners.add(listener);
    this.#connectSoon();
    return () => this.#listeners.delete(listener);
  }

  nextOpaque(): number {
    this.#opaque = this.#opaque === opaqueMax ? 1 : this.#opaque + 1;
    return this.#opaque;
  }

  /** The request's functions are not called before this returns. */
  exchange(request: Outstanding): void {
    const { events, clock } = this.#options;
    if (this.#closed || this.#outstanding.size >= this.#outstandingMax) {
      if (!this.#closed) events.tooManyOutstanding(this.address, request.name);
      const reason = this.#closed ? 'closed' : 'too many requests are outstanding';
      queueMicrotask(() => request.fail('lost', reason));
      return;
    }
    const nowMs = clock.monotonicMs();
    request.deadlineMs = nowMs + request.timeoutMs;
    this.#outstanding.set(request.opaque, request);
    this.#unwritten.push(request);
    this.#deadlines.add(request.deadlineMs, nowMs);
    if (this.#up) this.#flushSoon();
    else this.#connectSoon();
  }

  /** Any code is an answer. Throws `ConnectionLost` or `RequestTimeout`. */
  ask(request: RemotingRequest, timeoutMs: number = this.requestTimeoutMs): Promise<Answer> {
    const { name } = request;
    const opaque = this.nextOpaque();
    const header = headerOf(request, opaque, this.signer);
    return new Promise((resolve, reject) => {
      const answered = (answer: AnswerHeader, body: Buffer): void =>
        resolve({ header: answer, body });
      const failed = (failure: Failure): void => reject(this.#errorOf(name, failure));
      this.exchange(
        new Outstanding(name, opaque, timeoutMs, header, request.body, answered, failed),
      );
    });
  }

  /** Nothing that was not written leaves after this; all that is outstanding is answered. */
  reset(reason: string): void {
    this.#lose(reason, true);
  }

  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    clearTimeout(this.#retry);
    this.#lose('closed', true);
  }

  #errorOf(name: RequestName, failure: Failure): Error {
    const Failed = failure.kind === 'lost' ? ConnectionLost : RequestTimeout;
    return new Failed(this.address, name, failure.reason, failure.written);
  }

  #connectSoon(): void {
    if (this.#closed || this.#socket !== undefined || this.#retry !== undefined) return;
    const waitMs = this.#attemptFromMs - this.#options.clock.monotonicMs();
    if (waitMs <= 0) {
      this.#connect();
      return;
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.#isWanted()) this.#connect();
    }, waitMs);
  }

  #isWanted(): boolean {
    return this.#outstanding.size > 0 || this.#listeners.size > 0;
  }

  #connect(): void {
    const { tls, events } = this.#options;
    const options = {
      address: this.address,
      tls,
      connectTimeoutMs: this.#options.connectTimeoutMs ?? connectTimeoutMs,
    };
    const reader = new FrameReader(this.#options.frameBytesMax ?? frameBytesMax, (header, body) => {
      this.#take(header, body);
      return this.#socket === socket;
    });
    const socket = new RemotingSocket(options, {
      up: () => {
        this.#up = true;
        events.connected(this.address);
        this.#tell();
        this.#flush();
      },
      chunk: (bytes) => this.#receive(reader, bytes),
      gone: (reason) => this.#lose(reason),
    });
    this.#socket = socket;
    this.#writing = false;
  }

  #receive(reader: FrameReader, bytes: Buffer): void {
    this.#receivedAtMs = this.#options.clock.monotonicMs();
    try {
      reader.push(bytes);
    } catch (error) {
      if (!(error instanceof GarbageReceived)) throw error;
      this.#options.events.garbage(this.address, error.message);
      this.#lose(`garbage: ${error.message}`);
      return;
    }
    this.#options.events.received(bytes.length);
  }

  #take(header: AnswerHeader, body: Buffer): void {
    // The connection serves: the next one that is lost is tried again soon.
    this.#waitMs = 0;
    // A request that a broker sends to consumers which have told it of themselves.
    if (!header.isAnswer) return;
    const outstanding = this.#outstanding.get(header.opaque);
    if (outstanding === undefined || !outstanding.written) {
      this.#options.events.answeredLate(this.address);
      return;
    }
    this.#outstanding.delete(header.opaque);
    try {
      outstanding.answered(header, body);
    } catch (error) {
      if (error instanceof GarbageReceived) outstanding.fail('lost', error.message);
      throw error;
    }
  }

  #flushSoon(): void {
    if (!this.#writing) this.#flushing.soon();
  }

  #flush(): void {
    if (!this.#up || this.#writing || this.#unwritten.length === 0) return;
    const { mayWrite, clock, events } = this.#options;
    if (mayWrite !== undefined && !mayWrite()) {
      this.#lose('this node may not write any more');
      return;
    }
    const socket = this.#socket;
    const batch = this.#takeBatch();
    if (socket === undefined || batch.length === 0) return;
    const bytes = framesOf(batch);
    const nowMs = clock.monotonicMs();
    for (const each of batch) each.writtenAtMs = nowMs;
    this.#writing = true;
    socket.write(bytes, () => {
      if (this.#socket !== socket) return;
      this.#writing = false;
      if (this.#unwritten.length > 0) this.#flushSoon();
    });
    events.written(batch.length, bytes.length);
  }

  #takeBatch(): Outstanding[] {
    let bytes = 0;
    let count = 0;
    for (const { body, header } of this.#unwritten) {
      if (bytes > writeBytesMax) break;
      bytes += header.length + (body === undefined ? 0 : body.length);
      count += 1;
    }
    return this.#unwritten.splice(0, count).filter((each) => !each.over);
  }

  #timeOut(nowMs: number): number {
    const due: Outstanding[] = [];
    let nextMs = Number.POSITIVE_INFINITY;
    for (const each of this.#outstanding.values()) {
      if (each.deadlineMs <= nowMs) due.push(each);
      else nextMs = Math.min(nextMs, each.deadlineMs);
    }
    let silent = false;
    for (const each of due) {
      if (each.over) continue;
      const { written, writtenAtMs } = each;
      silent ||= written && writtenAtMs > this.#receivedAtMs;
      this.#outstanding.delete(each.opaque);
      this.#options.events.timedOut(this.address, each.name, written);
      const why = written ? 'no answer' : `not written: ${this.#lastFailure}`;
      each.fail('timed out', `${why} in ${each.timeoutMs} ms`);
    }
    this.#unwritten = this.#unwritten.filter((each) => !each.over);
    // Not a byte since then: the peer or the way to it is gone, and nobody will say so.
    if (silent && this.#up) this.#lose('silent');
    return this.#outstanding.size === 0 ? Number.POSITIVE_INFINITY : nextMs;
  }

  #lose(reason: string, answersAll: boolean = !this.#waits): void {
    const { events, clock } = this.#options;
    const wasUp = this.#up;
    const attempted = this.#socket !== undefined;
    this.#socket?.abandon();
    this.#socket = undefined;
    this.#up = false;
    this.#lastFailure = reason;
    if (attempted && !this.#closed) {
      if (wasUp) events.lost(this.address, reason);
      else events.notConnected(this.address, reason);
      this.#attemptFromMs = clock.monotonicMs() + this.#nextWaitMs();
    }
    if (wasUp) this.#tell();
    if (wasUp || answersAll) this.#failAll(reason);
    if (this.#isWanted()) this.#connectSoon();
  }

  #failAll(reason: string): void {
    const outstanding = this.#outstanding;
    this.#outstanding = new Map();
    this.#unwritten = [];
    this.#deadlines.stop();
    for (const each of outstanding.values()) {
      if (!each.over) each.fail('lost', reason);
    }
  }

  #nextWaitMs(): number {
    this.#waitMs = Math.min(longestWaitMs, Math.max(firstWaitMs, this.#waitMs * 2));
    // Nodes that lost the same broker do not come back in step.
    return this.#waitMs * (0.5 + Math.random() / 2);
  }

  #tell(): void {
    const up = this.#up;
    for (const listener of [...this.#listeners]) listener(up);
  }
}

function framesOf(batch: readonly Outstanding[]): Buffer {
  let size = 0;
  for (const { body, header } of batch) {
    size += frameHeadBytes + Buffer.byteLength(header) + (body === undefined ? 0 : body.length);
  }
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { body, header } of batch) at = writeFrame(bytes, at, header, body);
  return bytes;
}
