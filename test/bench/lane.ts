// One publisher on one topic. Its packets lie ready in a ring of slots; sending patches identifier,
// sequence number and time into the next slots and writes them as one buffer. A slot is used again
// only when its earlier message is done, so that the socket cannot still hold it.
import { sleep, nowUs } from './wire/clock.ts';
import { Connection, type Receiver, type Target } from './wire/connection.ts';
import { publishTemplate, type Qos } from './wire/packets.ts';
import { type Flushable, flushSoon } from './wire/turn.ts';

export interface LaneOptions {
  readonly name: string;
  readonly topic: string;
  readonly qos: Qos;
  /** Messages in flight: sent and not yet done. */
  readonly window: number;
  readonly payloadBytes: number;
  readonly index: number;
  /** Whether a message is done only when its receipt has been told by `receipt`. */
  readonly untilReceived: boolean;
  /** Messages to send in all. */
  readonly limit?: number;
  /** False where a timetable sends: then the window is only what the ring has room for. */
  readonly pumped?: boolean;
}

const idCount = 65_535;
const slotsPerWindow = 4;

export class Lane implements Receiver, Flushable {
  waiting = false;
  sent = 0;
  acknowledgedCount = 0;
  receivedCount = 0;
  acknowledgedOutOfOrder = 0;
  stopped = false;
  readonly failures: string[] = [];
  readonly #options: LaneOptions;
  readonly #ring: Buffer;
  readonly #view: DataView;
  readonly #slotBytes: number;
  readonly #slots: number;
  readonly #idAt: number;
  readonly #payloadAt: number;
  readonly #limit: number;
  #connection: Connection | undefined;

  constructor(options: LaneOptions) {
    const { topic, qos, payloadBytes, index, window } = options;
    const template = publishTemplate(topic, qos, payloadBytes, index);
    this.#options = options;
    this.#slotBytes = template.bytes.length;
    this.#slots = window * slotsPerWindow;
    this.#ring = Buffer.alloc(this.#slotBytes * this.#slots, template.bytes);
    this.#view = new DataView(this.#ring.buffer, this.#ring.byteOffset, this.#ring.length);
    this.#idAt = template.idAt;
    this.#payloadAt = template.payloadAt;
    this.#limit = options.limit ?? Infinity;
  }

  async open(target: Target): Promise<void> {
    this.#connection = await Connection.open(target, { clientId: this.#options.name }, this);
  }

  get done(): number {
    const { qos, untilReceived } = this.#options;
    if (!untilReceived) return this.acknowledgedCount;
    if (qos === 0) return this.receivedCount;
    return Math.min(this.acknowledgedCount, this.receivedCount);
  }

  get refusals(): number {
    return this.#connection?.refusals ?? 0;
  }

  /** Called by whoever counts receipts. */
  receipt(): void {
    this.receivedCount += 1;
    flushSoon(this);
  }

  acknowledged(id: number): void {
    if (id !== (this.acknowledgedCount % idCount) + 1) this.acknowledgedOutOfOrder += 1;
    this.acknowledgedCount += 1;
    flushSoon(this);
  }

  message(): void {}

  lost(reason: string): void {
    this.failures.push(`${this.#options.name}: ${reason}`);
    this.stopped = true;
  }

  /** Fills the window. */
  flush(): void {
    if (this.stopped || this.#options.pumped === false) return;
    const room = this.#options.window - (this.sent - this.done);
    const count = Math.min(room, this.#limit - this.sent);
    if (count > 0) this.send(count, nowUs());
  }

  /** Sends the next `count` messages, dated `us`; the window must have room for them. */
  send(count: number, us: number): void {
    let left = count;
    while (left > 0) {
      const slot = this.sent % this.#slots;
      const part = Math.min(left, this.#slots - slot);
      this.#patch(slot, part, us);
      const start = slot * this.#slotBytes;
      this.#connection?.write(this.#ring.subarray(start, start + part * this.#slotBytes));
      this.sent += part;
      left -= part;
    }
  }

  #patch(slot: number, count: number, us: number): void {
    const view = this.#view;
    let at = slot * this.#slotBytes;
    for (let number = this.sent; number < this.sent + count; number += 1) {
      if (this.#idAt >= 0) view.setUint16(at + this.#idAt, (number % idCount) + 1);
      view.setUint32(at + this.#payloadAt, number);
      view.setUint32(at + this.#payloadAt + 4, us);
      at += this.#slotBytes;
    }
  }
}

/** Waits until every lane's messages are done, or `ms` have passed. */
export async function drained(lanes: readonly Lane[], ms: number): Promise<void> {
  const end = nowUs() + ms * 1000;
  while (nowUs() < end && lanes.some((lane) => lane.done < lane.sent)) await sleep(5);
}
