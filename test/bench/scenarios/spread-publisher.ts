// A publisher whose messages each go to another topic, a window of them in flight.
import { nowUs, sleep } from '../wire/clock.ts';
import { Connection, type Receiver, type Target } from '../wire/connection.ts';
import { disconnectPacket, publishTemplate } from '../wire/packets.ts';
import { type Flushable, flushSoon } from '../wire/turn.ts';
import { payloadBytes } from './pairs.ts';

const window = 64;
const idCount = 65_535;
const stalledMs = 60_000;
const pollMs = 20;

export class SpreadPublisher implements Receiver, Flushable {
  waiting = false;
  readonly failures: string[] = [];
  readonly #name: string;
  readonly #count: number;
  readonly #messageOf: (number: number) => { readonly topic: string; readonly number: number };
  #sent = 0;
  #acknowledged = 0;
  #lastUs = 0;
  #connection: Connection | undefined;

  /** `messageOf`: topic, and number in the payload, of its nth message. */
  constructor(
    name: string,
    count: number,
    messageOf: (number: number) => { readonly topic: string; readonly number: number },
  ) {
    this.#name = name;
    this.#count = count;
    this.#messageOf = messageOf;
  }

  get refusals(): number {
    return this.#connection?.refusals ?? 0;
  }

  /** Resolves when all are acknowledged, or nothing was for a minute. */
  async run(target: Target): Promise<void> {
    const connection = await Connection.open(target, { clientId: this.#name }, this);
    this.#connection = connection;
    this.#lastUs = nowUs();
    flushSoon(this);
    while (this.#acknowledged < this.#count && this.failures.length === 0) {
      if (nowUs() - this.#lastUs > stalledMs * 1000) {
        this.failures.push(`${this.#name}: ${this.#acknowledged} of ${this.#count} acknowledged`);
      }
      await sleep(pollMs);
    }
    if (this.failures.length === 0) await connection.end(disconnectPacket);
  }

  flush(): void {
    const count = Math.min(window - (this.#sent - this.#acknowledged), this.#count - this.#sent);
    if (count <= 0) return;
    const packets = Array.from({ length: count }, () => this.#next());
    this.#connection?.write(Buffer.concat(packets));
  }

  #next(): Buffer {
    const { topic, number } = this.#messageOf(this.#sent);
    const { bytes, idAt, payloadAt } = publishTemplate(topic, 1, payloadBytes, 0);
    bytes.writeUInt16BE((this.#sent % idCount) + 1, idAt);
    bytes.writeUInt32BE(number, payloadAt);
    this.#sent += 1;
    return bytes;
  }

  message(): void {}

  acknowledged(): void {
    this.#acknowledged += 1;
    this.#lastUs = nowUs();
    flushSoon(this);
  }

  lost(reason: string): void {
    this.failures.push(`${this.#name}: ${reason}`);
  }
}
