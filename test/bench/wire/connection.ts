// One client connection, made as cheap as it can be: all sockets read into one shared arena and
// packets are parsed where they lie, so that a PUBLISH costs no object. The rest of a packet that
// has not arrived whole is kept and put before the next read, in the arena's head room.
//
// What the protocol demands of a client is answered here (PUBACK, PUBREC, PUBREL, PUBCOMP), once
// per turn of the event loop.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type { BrokerProcess } from '../meter.ts';
import { nowUs } from './clock.ts';
import { connectPacket, type ConnectOptions, packetType, type Qos } from './packets.ts';
import { subscribePacket, type Version } from './packets.ts';
import { type Flushable, flushSoon, packetsRead } from './turn.ts';

const headRoomBytes = 64 * 1024;
const readBytes = 64 * 1024;
const arena = Buffer.from(new ArrayBuffer(headRoomBytes + readBytes));
const readInto = arena.subarray(headRoomBytes);
/** The bytes that `Receiver.message` points into; valid until it returns. */
export const received: DataView = new DataView(arena.buffer);

export interface Receiver {
  /** A PUBLISH whose payload starts at `at` of `received`; it was read from the socket at `us`. */
  message(at: number, us: number): void;
  /** PUBACK or PUBCOMP. */
  acknowledged(id: number): void;
  /** Closed without being asked to. */
  lost(reason: string): void;
}

export interface Target {
  /** One for each node of the broker that clients connect to. */
  readonly ports: readonly number[];
  readonly processes: readonly BrokerProcess[];
  /** Whether the ports speak TLS; the certificate is not checked. */
  readonly tls?: boolean;
}

const answerTimeoutMs = 30_000;
/** Source addresses take turns, so that none runs out of ports. */
const sourceAddressCount = 32;
let sourceAddressTurn = 0;

function nextSourceAddress(): string {
  sourceAddressTurn = (sourceAddressTurn + 1) % sourceAddressCount;
  return `127.0.0.${2 + sourceAddressTurn}`;
}

interface Waiter {
  readonly type: number;
  readonly resolve: (body: Buffer) => void;
  readonly reject: (reason: Error) => void;
}

export class Connection implements Flushable {
  waiting = false;
  /** A paused subscriber: it stays connected and is not read. */
  stalled = false;
  /** PUBACK, PUBREC or SUBACK with an error code. */
  refusals = 0;
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #version: Version;
  #carry: Buffer | undefined;
  #waiters: Waiter[] = [];
  #closing = false;
  #subscribes = 0;
  #replies: Buffer = Buffer.allocUnsafe(256);
  #replyBytes = 0;

  private constructor(target: Target, node: number, receiver: Receiver, version: Version) {
    this.#receiver = receiver;
    this.#version = version;
    const port = target.ports[node % target.ports.length] ?? 0;
    const address = { host: '127.0.0.1', port, localAddress: nextSourceAddress() };
    if (target.tls === true) {
      this.#socket = connectTls({ ...address, rejectUnauthorized: false });
      this.#socket.on('data', (chunk: Buffer) => {
        for (let at = 0; at < chunk.length; at += readBytes) {
          const part = chunk.subarray(at, at + readBytes);
          arena.set(part, headRoomBytes);
          this.#feed(part.length);
        }
      });
    } else {
      const callback = (length: number): boolean => {
        this.#feed(length);
        return true;
      };
      this.#socket = connectTcp({
        ...address,
        noDelay: true,
        onread: { buffer: readInto, callback },
      });
    }
    this.#socket.on('error', (error) => this.#lost(error.message));
    this.#socket.on('close', () => this.#lost('closed by the broker'));
  }

  /**
   * Resolves with CONNACK; rejects where that refuses or does not come. `node` may be any number
   * from 0: the nodes of the broker take turns.
   */
  static async open(
    target: Target,
    options: ConnectOptions,
    receiver: Receiver,
    node = 0,
  ): Promise<Connection> {
    const connection = new Connection(target, node, receiver, options.version ?? 4);
    const answer = connection.#answer(packetType.connack);
    connection.#socket.write(connectPacket(options));
    const code = (await answer).readUInt8(1);
    if (code !== 0) throw new Error(`CONNACK ${code}`);
    return connection;
  }

  #lost(reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#socket.destroy();
    this.#receiver.lost(reason);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new Error(reason));
  }

  #answer(type: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(new Error(`no answer of type ${type}`));
      }, answerTimeoutMs);
      const waiter: Waiter = {
        type,
        resolve: (body) => {
          clearTimeout(timer);
          resolve(body);
        },
        reject: (reason) => {
          clearTimeout(timer);
          reject(reason);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  async subscribe(filters: readonly string[], qos: Qos): Promise<void> {
    this.#subscribes += 1;
    const answer = this.#answer(packetType.suback);
    this.#socket.write(subscribePacket(filters, qos, this.#subscribes, this.#version));
    const codes = (await answer).subarray(this.#version === 5 ? 3 : 2);
    if (codes.some((code) => code > 2)) throw new Error(`SUBACK ${codes.toString('hex')}`);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  /** From now on nothing is read from the socket. */
  stall(): void {
    this.stalled = true;
    this.#socket.pause();
  }

  /** Sends `last` (DISCONNECT), and resolves when the broker has closed. */
  async end(last: Buffer): Promise<void> {
    this.#closing = true;
    await new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.end(last);
    });
  }

  /** As a cut cable would: a reset, no DISCONNECT. */
  drop(): void {
    this.#closing = true;
    this.#socket.resetAndDestroy();
  }

  #reply(first: number, id: number): void {
    let at = this.#replyBytes;
    if (at + 4 > this.#replies.length) {
      this.#replies = Buffer.concat([this.#replies], this.#replies.length * 2);
    }
    const replies = this.#replies;
    replies[at++] = first;
    replies[at++] = 2;
    replies[at++] = id >>> 8;
    replies[at++] = id & 0xff;
    this.#replyBytes = at;
    flushSoon(this);
  }

  flush(): void {
    // A copy: the socket may keep it beyond this turn.
    const bytes = Buffer.from(this.#replies.subarray(0, this.#replyBytes));
    this.#replyBytes = 0;
    if (!this.#closing) this.#socket.write(bytes);
  }

  #feed(length: number): void {
    if (this.stalled) return;
    let start = headRoomBytes;
    if (this.#carry !== undefined) {
      start -= this.#carry.length;
      arena.set(this.#carry, start);
      this.#carry = undefined;
    }
    const end = headRoomBytes + length;
    const at = this.#parse(start, end, nowUs());
    if (at === end) return;
    if (end - at > headRoomBytes) throw new Error('a packet larger than the generator expects');
    this.#carry = Buffer.from(arena.subarray(at, end));
  }

  /** Returns where the first packet begins that is not there whole. */
  #parse(start: number, end: number, us: number): number {
    const view = received;
    let at = start;
    let count = 0;
    while (end - at >= 2) {
      let body = at + 2;
      let length = view.getUint8(at + 1);
      let shift = 7;
      let last = length;
      length &= 0x7f;
      while (last > 0x7f && body < end) {
        last = view.getUint8(body++);
        length |= (last & 0x7f) << shift;
        shift += 7;
      }
      if (last > 0x7f || body + length > end) break;
      const head = view.getUint8(at);
      if ((head & 0xf0) === 0x30) this.#publish(head, body, us);
      else this.#other(head, body, body + length);
      at = body + length;
      count += 1;
    }
    packetsRead(count);
    return at;
  }

  #publish(head: number, body: number, us: number): void {
    let at = body + 2 + received.getUint16(body);
    const qos = head & 6;
    if (qos !== 0) {
      this.#reply(qos === 2 ? 0x40 : 0x50, received.getUint16(at));
      at += 2;
    }
    // Publishers here set no properties; a broker's own are shorter than one length byte can say.
    if (this.#version === 5) at += 1 + received.getUint8(at);
    this.#receiver.message(at, us);
  }

  #other(head: number, body: number, end: number): void {
    const type = head >>> 4;
    if (type >= packetType.puback && type <= packetType.pubcomp) {
      const id = received.getUint16(body);
      if (end - body > 2 && received.getUint8(body + 2) >= 0x80) this.refusals += 1;
      if (type === packetType.pubrec) this.#reply(0x62, id);
      else if (type === packetType.pubrel) this.#reply(0x70, id);
      else this.#receiver.acknowledged(id);
      return;
    }
    if (type === packetType.disconnect) {
      this.#lost(`DISCONNECT ${end > body ? received.getUint8(body) : 0}`);
      return;
    }
    const index = this.#waiters.findIndex((each) => each.type === type);
    const [waiter] = index < 0 ? [] : this.#waiters.splice(index, 1);
    waiter?.resolve(Buffer.from(arena.subarray(body, end)));
  }
}
