import type { Place } from '@lmqtt/proto/link';

/** A message that a cursor has handed out and that is not done with. */
export interface Outstanding {
  readonly offset: number;
  done: boolean;
}

/** Who hears that a message is done with. */
export interface Origin {
  completed(outstanding: Outstanding): void;
}

/** An outbound message at QoS 1 or 2 between its PUBLISH and its PUBACK or PUBCOMP. */
export class Inflight implements Outstanding {
  readonly packetId: number;
  readonly qos: 1 | 2;
  readonly sequence: number;
  readonly place: Place;
  readonly offset: number;
  readonly origin: Origin | undefined;
  /** The same message in other queues of the session. */
  shadows: { readonly origin: Origin; readonly outstanding: Outstanding }[] | undefined = undefined;
  /**
   * `storing`: its identifier is being stored, nothing was sent. `sent`: PUBLISH is out.
   * `releasing`: PUBREC came and is being stored. `released`: PUBREL is out.
   */
  state: 'storing' | 'sent' | 'releasing' | 'released';
  done = false;

  constructor(
    packetId: number,
    qos: 1 | 2,
    sequence: number,
    place: Place,
    offset: number,
    origin: Origin | undefined,
    state: Inflight['state'],
  ) {
    this.packetId = packetId;
    this.qos = qos;
    this.sequence = sequence;
    this.place = place;
    this.offset = offset;
    this.origin = origin;
    this.state = state;
  }
}

const packetIdMax = 0xffff;

/** The packet identifiers in use towards one client, at most as many as it takes at once. */
export class Window {
  /** The client's receive maximum or ours, whichever is less. */
  readonly size: number;
  private inflight: Map<number, Inflight> | undefined = undefined;
  private lastPacketId = 0;
  private lastSequence = 0;

  constructor(size: number) {
    this.size = size;
  }

  get count(): number {
    return this.inflight?.size ?? 0;
  }

  /** Messages that may be sent now [MQTT-3.3.4-9]. */
  get free(): number {
    return this.size - (this.inflight?.size ?? 0);
  }

  /** A packet identifier that is not in use [MQTT-2.2.1-2]; only to be called where `free` > 0. */
  nextPacketId(): number {
    do {
      this.lastPacketId = this.lastPacketId === packetIdMax ? 1 : this.lastPacketId + 1;
    } while (this.inflight?.has(this.lastPacketId) === true);
    return this.lastPacketId;
  }

  nextSequence(): number {
    this.lastSequence += 1;
    return this.lastSequence;
  }

  add(inflight: Inflight): void {
    this.inflight ??= new Map();
    this.inflight.set(inflight.packetId, inflight);
    if (inflight.sequence > this.lastSequence) this.lastSequence = inflight.sequence;
  }

  /** New identifiers start after those that were used before. */
  startAfter(packetId: number): void {
    this.lastPacketId = packetId;
  }

  get(packetId: number): Inflight | undefined {
    return this.inflight?.get(packetId);
  }

  remove(packetId: number): void {
    this.inflight?.delete(packetId);
  }
}
