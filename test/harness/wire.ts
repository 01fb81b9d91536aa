// A raw MQTT client for tests. It sends what it is told to, byte by byte, and takes what the server
// sends through the strict parser; it answers nothing by itself. Reading is in order: `expect`
// takes the next packet and fails when it is another one, so a packet too many cannot pass unseen.
// All waiting is for events, with a deadline.
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Match } from './match.ts';
import { matches, show } from './match.ts';
import type {
  AckFields,
  ConnectFields,
  DisconnectFields,
  PublishFields,
  Qos,
  SubscribeFields,
  UnsubscribeFields,
  Version,
} from './packets.ts';
import * as packets from './packets.ts';
import type {
  Connack,
  Publish,
  ServerPacket,
  ServerPackets,
  ServerPacketType,
  Suback,
  Unsuback,
} from './parser.ts';
import { parse } from './parser.ts';
import type { PropertiesToSend } from './properties.ts';

/** The deadline of every wait that has none of its own. */
export const deadlineMs = 30_000;
const receivedBytesMax = 65_536;
const historyCount = 8;

const open = new Set<RawClient>();

/** For afterEach: cuts every connection that a test has left open. */
export function closeAllClients(): void {
  for (const client of open) client.destroy();
}

let uniqueCount = 0;

/** A name that no other test uses, for client ids and topics. */
export function unique(stem = 't'): string {
  uniqueCount += 1;
  return `${stem}-${process.pid.toString(36)}-${Date.now().toString(36)}-${uniqueCount}`;
}

export interface RawOptions {
  readonly host?: string;
  /** For what is sent and received; `connect` may change it. Default 4. */
  readonly version?: Version;
  /**
   * Local address to connect from: 127.0.0.2 and the like are other addresses to a broker on
   * loopback.
   */
  readonly localAddress?: string;
}

type Publishing = Omit<PublishFields, 'version' | 'topic' | 'payload' | 'qos'> & {
  readonly qos?: Qos;
};

export class RawClient {
  /** TCP, TLS, or a WebSocket as a byte stream. */
  readonly stream: Duplex;
  version: Version;
  /** The first bytes that came, unparsed. */
  received: Buffer = Buffer.alloc(0);
  #pending: Buffer = Buffer.alloc(0);
  readonly #unread: ServerPacket[] = [];
  readonly #history: ServerPacket[] = [];
  #malformed: Error | undefined;
  #closed = false;
  #wake: () => void = () => {};
  #packetId = 0;

  constructor(stream: Duplex, version: Version = 4) {
    this.stream = stream;
    this.version = version;
    open.add(this);
    stream.on('data', (bytes: Buffer) => {
      if (this.received.length < receivedBytesMax) {
        this.received = Buffer.concat([this.received, bytes]);
      }
      this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes]) : bytes;
      this.#read();
    });
    // The reason of a reset or of a failed write is seen as the close that follows it.
    stream.on('error', () => {});
    const ended = (): void => {
      this.#closed = true;
      open.delete(this);
      this.#wake();
    };
    stream.on('end', ended);
    stream.on('close', ended);
  }

  get closed(): boolean {
    return this.#closed;
  }

  #read(): void {
    try {
      for (;;) {
        const found = parse(this.#pending, this.version);
        if (!found) break;
        this.#pending = this.#pending.subarray(found.length);
        this.#unread.push(found.packet);
        this.#history.push(found.packet);
        if (this.#history.length > historyCount) this.#history.shift();
      }
    } catch (error) {
      this.#malformed = error as Error;
    }
    this.#wake();
  }

  #fail(wanted: string, got: string): never {
    const before = this.#history.map(show).join('\n    ');
    throw new Error(`expected ${wanted}, but ${got}\n  last packets:\n    ${before || 'none'}`);
  }

  /** Waits until `found` gives a value; `wanted` is for the failure message. */
  async #wait<T>(wanted: string, found: () => T | undefined, timeoutMs: number): Promise<T> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const value = found();
      if (value !== undefined) return value;
      if (this.#malformed) {
        const at = this.#pending.subarray(0, 64);
        this.#fail(wanted, `the server sent ${at.toString('hex')}: ${this.#malformed.message}`);
      }
      if (this.#closed) this.#fail(wanted, 'the connection was closed');
      const leftMs = end - performance.now();
      if (leftMs <= 0) this.#fail(wanted, `nothing came within ${timeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  send(...bytes: Uint8Array[]): void {
    this.stream.write(Buffer.concat(bytes));
  }

  /** The next packet, whatever it is. */
  async next(timeoutMs: number = deadlineMs): Promise<ServerPacket> {
    return this.#wait('a packet', () => this.#unread.shift(), timeoutMs);
  }

  /** The next packet, which must be of this type and match. */
  async expect<T extends ServerPacketType>(
    type: T,
    match: Match<ServerPackets[T]> = {},
    timeoutMs: number = deadlineMs,
  ): Promise<ServerPackets[T]> {
    const wanted = `${type} ${show(match)}`;
    const packet = await this.#wait(wanted, () => this.#unread.shift(), timeoutMs);
    if (packet.type !== type || !matches(packet, match)) {
      this.#fail(wanted, `this came: ${show(packet)}`);
    }
    return packet as ServerPackets[T];
  }

  /** The first packet of this type that matches; others stay unread, in their order. */
  async find<T extends ServerPacketType>(
    type: T,
    match: Match<ServerPackets[T]> = {},
    timeoutMs: number = deadlineMs,
  ): Promise<ServerPackets[T]> {
    const look = (): ServerPacket | undefined => {
      const index = this.#unread.findIndex((p) => p.type === type && matches(p, match));
      return index < 0 ? undefined : this.#unread.splice(index, 1)[0];
    };
    const packet = await this.#wait(`${type} ${show(match)} somewhere`, look, timeoutMs);
    return packet as ServerPackets[T];
  }

  /** Forgets what has come and was not read. */
  discard(): void {
    this.#unread.length = 0;
  }

  /** The server closes, and sends nothing before. */
  async expectClose(timeoutMs: number = deadlineMs): Promise<void> {
    const look = (): true | undefined => {
      if (this.#unread[0]) this.#fail('a close', `this came: ${show(this.#unread[0])}`);
      return this.#closed && !this.#malformed ? true : undefined;
    };
    await this.#wait('a close', look, timeoutMs);
  }

  /** The server closes, whatever it sends before. */
  async expectEnd(timeoutMs: number = deadlineMs): Promise<void> {
    await this.#wait('an end', () => (this.#closed ? true : undefined), timeoutMs);
  }

  /** v5: DISCONNECT with this reason code (or one of them), then a close. */
  async expectDisconnect(reason: number | readonly number[]): Promise<ServerPackets['disconnect']> {
    const packet = await this.expect('disconnect');
    const reasons = typeof reason === 'number' ? [reason] : reason;
    if (!reasons.includes(packet.reason)) {
      this.#fail(`disconnect with ${reasons.map(hex).join(' or ')}`, `it is ${hex(packet.reason)}`);
    }
    await this.expectClose();
    return packet;
  }

  /**
   * Nothing but the answers to two PINGREQ comes: what the server had for this connection by then
   * has been sent. `quietMs` waits before, for what arrives from elsewhere; better is a later
   * message from there that is expected next. Before CONNACK only the wait is possible.
   */
  async expectNothing(quietMs: number = 0): Promise<void> {
    if (quietMs > 0) await new Promise((resolve) => setTimeout(resolve, quietMs));
    if (this.#unread[0]) this.#fail('nothing', `this came: ${show(this.#unread[0])}`);
    if (this.#closed) this.#fail('nothing', 'the connection was closed');
    if (this.#history.length === 0) return;
    await this.ping();
    await this.ping();
  }

  async ping(): Promise<void> {
    this.send(packets.pingreq());
    await this.expect('pingresp');
  }

  /** Sends CONNECT and gives the CONNACK, which must be 0 unless `reason` says otherwise. */
  async connect(
    fields: ConnectFields & { readonly reason?: number; readonly sessionPresent?: boolean } = {},
  ): Promise<Connack> {
    const { reason = 0, sessionPresent, ...rest } = fields;
    this.version = rest.version ?? this.version;
    this.send(packets.connect({ ...rest, version: this.version }));
    return this.expect('connack', {
      reason,
      ...(sessionPresent === undefined ? {} : { sessionPresent }),
    });
  }

  /** 1, 2, … for packets whose id the test does not choose. */
  nextPacketId(): number {
    this.#packetId = (this.#packetId % 0xffff) + 1;
    return this.#packetId;
  }

  sendPublish(fields: PublishFields): void {
    this.send(packets.publish({ version: this.version, ...fields }));
  }

  sendSubscribe(fields: SubscribeFields): void {
    this.send(packets.subscribe({ version: this.version, ...fields }));
  }

  sendUnsubscribe(fields: UnsubscribeFields): void {
    this.send(packets.unsubscribe({ version: this.version, ...fields }));
  }

  sendAck(
    type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
    packetId: number,
    more: Omit<AckFields, 'packetId'> = {},
  ): void {
    this.send(packets.ack(type, { packetId, ...more }));
  }

  /** Publishes and runs the whole handshake of its QoS; the answers must be a success. */
  async publish(topic: string, payload: string | Uint8Array, more: Publishing = {}): Promise<void> {
    const qos = more.qos ?? 0;
    if (qos === 0) return this.sendPublish({ ...more, topic, payload });
    const packetId = more.packetId ?? this.nextPacketId();
    this.sendPublish({ ...more, topic, payload, packetId });
    if (qos === 1) {
      const { reason } = await this.find('puback', { packetId });
      if (reason >= 0x80) this.#fail('a good puback', `it says ${hex(reason)}`);
      return undefined;
    }
    const { reason } = await this.find('pubrec', { packetId });
    if (reason >= 0x80) this.#fail('a good pubrec', `it says ${hex(reason)}`);
    this.sendAck('pubrel', packetId);
    await this.find('pubcomp', { packetId, reason: 0 });
    return undefined;
  }

  /** Subscribes; the SUBACK must grant what was asked for unless `reasons` says otherwise. */
  async subscribe(
    filters: string | SubscribeFields['filters'],
    qos: Qos = 0,
    more: { readonly reasons?: readonly number[]; readonly properties?: PropertiesToSend } = {},
  ): Promise<Suback> {
    const list = (typeof filters === 'string' ? [filters] : filters).map((entry) =>
      typeof entry === 'string' ? { filter: entry, qos } : entry,
    );
    const packetId = this.nextPacketId();
    const { properties } = more;
    this.sendSubscribe({ packetId, filters: list, ...(properties ? { properties } : {}) });
    const reasons = more.reasons ?? list.map((f) => f.qos ?? 0);
    return this.find('suback', { packetId, reasons: [...reasons] });
  }

  async unsubscribe(...filters: string[]): Promise<Unsuback> {
    const packetId = this.nextPacketId();
    this.sendUnsubscribe({ packetId, filters });
    return this.find('unsuback', { packetId });
  }

  /** The next packet must be a matching PUBLISH; acknowledges it as its QoS demands. */
  async receive(match: Match<Publish> = {}, timeoutMs: number = deadlineMs): Promise<Publish> {
    const message = await this.expect('publish', match, timeoutMs);
    if (message.qos === 1) this.sendAck('puback', message.packetId);
    if (message.qos === 2) {
      this.sendAck('pubrec', message.packetId);
      await this.find('pubrel', { packetId: message.packetId });
      this.sendAck('pubcomp', message.packetId);
    }
    return message;
  }

  /** A clean end: DISCONNECT, and the server has closed or is about to. */
  async disconnect(fields: DisconnectFields = {}): Promise<void> {
    this.send(packets.disconnect(fields));
    await this.#wait('a close', () => (this.#closed ? true : undefined), deadlineMs);
    this.stream.destroy();
  }

  /** Ends without DISCONNECT. */
  destroy(): void {
    open.delete(this);
    this.stream.destroy();
  }
}

function hex(reason: number): string {
  return `0x${reason.toString(16).padStart(2, '0')}`;
}

/** A TCP connection to the broker; nothing has been sent on it. */
export async function connectRaw(port: number, options: RawOptions = {}): Promise<RawClient> {
  const { host = '127.0.0.1', localAddress } = options;
  const from = localAddress === undefined ? {} : { localAddress };
  const socket = net.connect({ port, host, noDelay: true, ...from });
  const client = new RawClient(socket, options.version);
  await once(socket, 'connect', { signal: AbortSignal.timeout(deadlineMs) });
  return client;
}

/** A connected client whose CONNACK was 0. */
export async function connected(
  port: number,
  fields: ConnectFields & { readonly sessionPresent?: boolean } = {},
): Promise<RawClient> {
  const client = await connectRaw(port, fields.version ? { version: fields.version } : {});
  await client.connect({ clientId: unique('c'), ...fields });
  return client;
}
