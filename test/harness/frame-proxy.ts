// A gRPC proxy between one cs and ds that sees the frames of their streams: it can lose one, repeat
// one or hold them back, in one direction, and counts them. Metadata and statuses pass unchanged.
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
  type StatusObject,
} from '@grpc/grpc-js';
import { exchangeMethod } from '@lmqtt/proto/dispatch';
import type { Address } from './process.ts';
import type { Direction } from './tcp-proxy.ts';

type Upstream = ServerDuplexStream<Buffer, Buffer>;
type Downstream = ClientDuplexStream<Buffer, Buffer>;

const windowBytes = 4 * 1024 * 1024;
/** Tag of field 1, fixed64, which is the first in every frame that has it. */
const sequenceTag = 0x09;
const sequenceEnd = 9;

/** Sequence of a frame; 0: it has none. */
export function sequenceOf(frame: Buffer): number {
  if (frame.length < sequenceEnd || frame[0] !== sequenceTag) return 0;
  return Number(frame.readBigUInt64LE(1));
}

/** Which frames something befalls. */
export interface Which {
  /** Default: `sequenced`, which the protocol must repair. */
  readonly frames?: 'all' | 'sequenced' | 'unsequenced';
  /** How many of them, one after another; default 1. */
  readonly count?: number;
}

export interface FrameCounts {
  readonly all: number;
  readonly sequenced: number;
  /** Sequenced frames that had been seen before: sent again by their sender. */
  readonly again: number;
}

type Fate = 'lose' | 'repeat';

interface Doom {
  readonly fate: Fate;
  readonly frames: 'all' | 'sequenced' | 'unsequenced';
  left: number;
  readonly done: () => void;
}

/** One direction over all streams. */
class Lane {
  readonly #counts = { all: 0, sequenced: 0, again: 0 };
  readonly #dooms: Doom[] = [];
  readonly #held: (() => void)[] = [];
  #highest = 0;
  #isHeld = false;

  get counts(): FrameCounts {
    return { ...this.#counts };
  }

  /** Sequences begin again with another attachment, whose first is 1. */
  #count(sequence: number): void {
    this.#counts.all += 1;
    if (sequence === 0) return;
    this.#counts.sequenced += 1;
    if (sequence <= this.#highest && sequence !== 1) this.#counts.again += 1;
    this.#highest = sequence === 1 ? 1 : Math.max(this.#highest, sequence);
  }

  pass(frame: Buffer, send: (frame: Buffer) => void): void {
    const sequence = sequenceOf(frame);
    this.#count(sequence);
    let times = 1;
    const kind = sequence > 0 ? 'sequenced' : 'unsequenced';
    const index = this.#dooms.findIndex(({ frames }) => frames === 'all' || frames === kind);
    const doom = this.#dooms[index];
    if (doom !== undefined) {
      times = doom.fate === 'lose' ? 0 : 2;
      doom.left -= 1;
      if (doom.left === 0) {
        this.#dooms.splice(index, 1);
        doom.done();
      }
    }
    for (let time = 0; time < times; time += 1) {
      if (this.#isHeld) this.#held.push(() => send(frame));
      else send(frame);
    }
  }

  doom(fate: Fate, { frames = 'sequenced', count = 1 }: Which): Promise<void> {
    return new Promise((done) => {
      this.#dooms.push({ fate, frames, left: count, done });
    });
  }

  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const send of this.#held.splice(0)) send();
  }
}

export class FrameProxy {
  readonly port: number;
  readonly #server: Server;
  readonly #target: Address;
  readonly #lanes: Readonly<Record<Direction, Lane>> = { up: new Lane(), down: new Lane() };
  readonly #streams = new Set<{ readonly near: Upstream; readonly far: Downstream }>();
  #streamCount = 0;

  private constructor(server: Server, port: number, target: Address) {
    this.#server = server;
    this.port = port;
    this.#target = target;
  }

  static async start(target: Address): Promise<FrameProxy> {
    const options = {
      'grpc-node.flow_control_window': windowBytes,
      'grpc.max_receive_message_length': -1,
    };
    const server = new Server(options);
    let proxy: FrameProxy | undefined;
    server.addService(
      { Exchange: { ...exchangeMethod, originalName: 'exchange' } },
      { Exchange: (near: Upstream) => proxy?.relay(near) },
    );
    const port = await new Promise<number>((resolve, reject) => {
      const plain = ServerCredentials.createInsecure();
      server.bindAsync('127.0.0.1:0', plain, (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    proxy = new FrameProxy(server, port, target);
    return proxy;
  }

  /** Streams that were opened through it. */
  get streamCount(): number {
    return this.#streamCount;
  }

  /** Counts of frames that came from their sender, lost and held ones included. */
  counts(direction: Direction): FrameCounts {
    return this.#lanes[direction].counts;
  }

  /** The next of these frames do not arrive; resolves when that has happened. */
  lose(direction: Direction, which: Which = {}): Promise<void> {
    return this.#lanes[direction].doom('lose', which);
  }

  /** The next of these frames arrive twice; resolves when that has happened. */
  repeat(direction: Direction, which: Which = {}): Promise<void> {
    return this.#lanes[direction].doom('repeat', which);
  }

  /** Frames wait here until `release`, while the stream stays open. */
  hold(direction: Direction): void {
    this.#lanes[direction].hold();
  }

  release(direction: Direction): void {
    this.#lanes[direction].release();
  }

  /** Every stream ends with UNAVAILABLE, for both sides; new ones pass. */
  cut(): void {
    for (const { near, far } of this.#streams) {
      far.cancel();
      near.emit('error', { code: status.UNAVAILABLE, details: 'cut by the test' });
    }
    this.#streams.clear();
  }

  /** Opens the stream to ds with what cs said and joins the two. */
  relay(near: Upstream): void {
    this.#streamCount += 1;
    const { host, port } = this.#target;
    const client = new Client(`${host}:${port}`, credentials.createInsecure(), {
      'grpc-node.flow_control_window': windowBytes,
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
    const { path, requestSerialize, responseDeserialize } = exchangeMethod;
    const far = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      said(near.metadata),
    );
    const stream = { near, far };
    this.#streams.add(stream);
    const over = (): void => {
      this.#streams.delete(stream);
      client.close();
    };
    const { up, down } = this.#lanes;
    near.on('data', (frame: Buffer) => up.pass(frame, (each) => write(far, each, near)));
    near.on('end', () => far.end());
    near.on('cancelled', () => {
      far.cancel();
      over();
    });
    far.on('metadata', (metadata: Metadata) => near.sendMetadata(metadata));
    far.on('data', (frame: Buffer) => down.pass(frame, (each) => write(near, each, far)));
    far.on('error', () => {});
    far.on('status', ({ code, details, metadata }: StatusObject) => {
      if (this.#streams.has(stream)) {
        if (code === status.OK) near.end();
        else near.emit('error', { code, details, metadata });
      }
      over();
    });
  }

  stop(): Promise<void> {
    this.cut();
    this.#server.forceShutdown();
    return Promise.resolve();
  }
}

/** Without what gRPC adds by itself. */
function said(metadata: Metadata): Metadata {
  const own = new Metadata();
  for (const [name, value] of Object.entries(metadata.getMap())) {
    if (name.startsWith('lmqtt-')) own.set(name, value);
  }
  return own;
}

function write(to: Upstream | Downstream, frame: Buffer, from: Upstream | Downstream): void {
  if (to.destroyed || to.writableEnded || to.write(frame)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
