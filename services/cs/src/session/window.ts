import type { Place } from '@lmqtt/proto/session-state';

/** A message that a cursor has handed out and that is not done with. */
export interface Outstanding {
  readonly offset: number;
  done: boolean;
}

/** Owner of a message that hears when it is done with. */
export interface Origin {
  /** For what is stored of it. */
  placeOf(offset: number): Place;
  completed(outstanding: Outstanding): void;
}

/** An outbound message at QoS 1 or 2 between its PUBLISH and its PUBACK or PUBCOMP. */
export class Inflight implements Outstanding {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly sequence: number;
  /** For what is stored of it; undefined where nothing is. */
  readonly place: Place | undefined;
  readonly offset: number;
  readonly origin: Origin | undefined;
  /** Filter of the subscription for which it was sent. */
  readonly filter: string;
  /** The same message in other queues of the session. */
  shadows: { readonly origin: Origin; readonly outstanding: Outstanding }[] | undefined = undefined;
  /**
   * `storing`: its identifier is being stored, nothing was sent. `sent`: PUBLISH is out.
   * `releasing`: PUBREC came and is being stored. `released`: PUBREL is out. `given up`: the client does
   * not take it, and it is on its way to the dead letters.
   */
  state: 'storing' | 'sent' | 'releasing' | 'released' | 'given up';
  /** Wall clock in s: when it was put in flight on this connection. */
  readonly sentS: number;
  done = false;

  constructor(
    packetId: number,
    qos: 1 | 2,
    sequence: number,
    place: Place | undefined,
    offset: number,
    origin: Origin | undefined,
    filter: string,
    state: Inflight['state'],
    sentS: number,
  ) {
    this.packetId = packetId;
    this.qos = qos;
    this.sequence = sequence;
    this.place = place;
    this.offset = offset;
    this.origin = origin;
    this.filter = filter;
    this.state = state;
    this.sentS = sentS;
  }
}

const packetIdMax = 0xffff;
const slotsMin = 8;

/**
 * The packet identifiers in use towards one client, at most as many as it takes at once. A table
 * of slots, at least twice as many as identifiers, in which an identifier's place is its low bits:
 * one whose slot is taken is passed over when the next is chosen.
 */
export class Window {
  /** The client's receive maximum or ours, whichever is less. */
  readonly size: number;
  /** Number of those in flight that wait until their identifiers are stored. */
  storing = 0;
  #slots: (Inflight | undefined)[] | undefined = undefined;
  /** Slots of the table that was let go last: a client that takes bursts needs as many again. */
  #slotsBefore = slotsMin;
  #used = 0;
  #lastPacketId = 0;
  #lastSequence = 0;

  constructor(size: number) {
    this.size = size;
  }

  get count(): number {
    return this.#used;
  }

  /** Messages that may be sent now [MQTT-3.3.4-9]. */
  get free(): number {
    return this.size - this.#used;
  }

  /** A packet identifier that is not in use [MQTT-2.2.1-2]; only to be called where `free` > 0. */
  nextPacketId(): number {
    const slots = this.#slots;
    do {
      this.#lastPacketId = this.#lastPacketId === packetIdMax ? 1 : this.#lastPacketId + 1;
    } while (slots !== undefined && slots[this.#lastPacketId & (slots.length - 1)] !== undefined);
    return this.#lastPacketId;
  }

  nextSequence(): number {
    this.#lastSequence += 1;
    return this.#lastSequence;
  }

  add(inflight: Inflight): void {
    let slots = (this.#slots ??= emptySlots(this.#slotsBefore));
    while (
      this.#used * 2 >= slots.length ||
      slots[inflight.packetId & (slots.length - 1)] !== undefined
    ) {
      slots = this.#grow(slots);
    }
    slots[inflight.packetId & (slots.length - 1)] = inflight;
    this.#used += 1;
    if (inflight.sequence > this.#lastSequence) this.#lastSequence = inflight.sequence;
  }

  /** Identifiers that differ in the low bits go on to differ: nobody loses a place. */
  #grow(slots: readonly (Inflight | undefined)[]): (Inflight | undefined)[] {
    const larger = emptySlots(slots.length * 2);
    for (const inflight of slots) {
      if (inflight !== undefined) larger[inflight.packetId & (larger.length - 1)] = inflight;
    }
    this.#slots = larger;
    return larger;
  }

  /** New identifiers start after those that were used before. */
  startAfter(packetId: number): void {
    this.#lastPacketId = packetId;
  }

  get(packetId: number): Inflight | undefined {
    const slots = this.#slots;
    if (slots === undefined) return undefined;
    const inflight = slots[packetId & (slots.length - 1)];
    return inflight?.packetId === packetId ? inflight : undefined;
  }

  *entries(): Iterable<Inflight> {
    for (const inflight of this.#slots ?? []) {
      if (inflight !== undefined) yield inflight;
    }
  }

  remove(packetId: number): void {
    const slots = this.#slots;
    if (slots === undefined || this.get(packetId) === undefined) return;
    slots[packetId & (slots.length - 1)] = undefined;
    this.#used -= 1;
    // An idle client holds no table.
    if (this.#used === 0 && slots.length > slotsKept) {
      this.#slotsBefore = slots.length;
      this.#slots = undefined;
    }
  }
}

const slotsKept = 256;

function emptySlots(count: number): (Inflight | undefined)[] {
  const slots: (Inflight | undefined)[] = [];
  while (slots.length < count) slots.push(undefined);
  return slots;
}
