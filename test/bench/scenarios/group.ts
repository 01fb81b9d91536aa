// Many subscribers of one topic. Every message carries its number, so that each subscriber's
// sequence is checked by itself and the publisher learns when all of them have a message.
import type { Lane } from '../lane.ts';
import type { Histogram } from '../meter.ts';
import { Sequence } from '../sequence.ts';
import { Connection, received, type Receiver, type Target } from '../wire/connection.ts';
import type { Qos } from '../wire/packets.ts';
import { inBatches } from './pairs.ts';

const connectsAtOnce = 50;
/** More than any window. */
const slots = 4096;

export class Member implements Receiver {
  readonly sequence: Sequence = new Sequence();
  readonly failures: string[] = [];
  readonly #group: Group;
  readonly #name: string;

  constructor(group: Group, name: string) {
    this.#group = group;
    this.#name = name;
  }

  message(at: number, us: number): void {
    this.#group.histogram.add(us - received.getUint32(at + 4));
    const number = received.getUint32(at);
    if (this.sequence.take(number)) this.#group.took(number);
  }

  acknowledged(): void {}

  lost(reason: string): void {
    this.failures.push(`${this.#name}: ${reason}`);
  }
}

export class Group {
  readonly histogram: Histogram;
  readonly members: readonly Member[];
  /** Deliveries up to now. */
  deliveries = 0;
  readonly #lane: Lane;
  readonly #tookBySlot = new Int32Array(slots);
  #whole = 0;

  constructor(lane: Lane, size: number, histogram: Histogram) {
    this.#lane = lane;
    this.histogram = histogram;
    this.members = Array.from({ length: size }, (_, index) => new Member(this, `member-${index}`));
  }

  took(number: number): void {
    this.deliveries += 1;
    const slot = number % slots;
    this.#tookBySlot[slot] = (this.#tookBySlot[slot] ?? 0) + 1;
    while (this.#tookBySlot[this.#whole % slots] === this.members.length) {
      this.#tookBySlot[this.#whole % slots] = 0;
      this.#whole += 1;
      this.#lane.receipt();
    }
  }

  /**
   * Spreads the members over the nodes of the broker. Resolves with the connections, in the order
   * of the members.
   */
  async open(target: Target, topic: string, qos: Qos): Promise<readonly Connection[]> {
    const connections: Connection[] = [];
    await inBatches(this.members.length, connectsAtOnce, async (index) => {
      const member = this.members[index];
      if (member === undefined) return;
      const options = { clientId: `member-${index}` };
      const connection = await Connection.open(target, options, member, index);
      await connection.subscribe([topic], qos);
      connections[index] = connection;
    });
    return connections;
  }

  get failures(): string[] {
    return this.members.flatMap((each) => each.failures);
  }

  get sequences(): Sequence[] {
    return this.members.map((each) => each.sequence);
  }
}
