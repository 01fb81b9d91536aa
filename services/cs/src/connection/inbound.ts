import type { Publish } from '@lmqtt/proto/link';

/**
 * Requests of one client that wait for ds: SUBSCRIBE, UNSUBSCRIBE, PINGREQ behind retained ones.
 */
const requestsMax = 64;
/** Bytes of the packets of requests that wait, the last one not counted. */
const requestBytesMax = 64 << 10;
/**
 * Publishes that wait for such requests, and bytes of these publishes, the last one not counted.
 */
const heldMax = 1000;
const heldBytesMax = 256 << 10;

interface Held {
  readonly publish: Publish;
  /** How many requests are to be answered before. */
  readonly requests: number;
}

const nothing: readonly Publish[] = [];

/** The publishes that a connection's client has under way. */
export class Inbound {
  /** QoS 2 identifiers between PUBLISH and PUBREL: `storing`, then `stored`, then `releasing`. */
  #qos2: Map<number, 'storing' | 'stored' | 'releasing'> | undefined = undefined;
  /** QoS 1 publishes that are not answered yet. */
  #qos1 = 0;
  /** QoS 2 identifiers that are `stored`: the next step is the client's. */
  #stored = 0;
  /** A retained message went out at QoS 0, and ds was not asked since whether it is retained. */
  #unsettled = false;
  #settling = 0;
  #requests = 0;
  #requestBytes = 0;
  #requestsAnswered = 0;
  #held: Held[] | undefined = undefined;
  #heldBytes = 0;

  /** The identifiers in that state. */
  in2(state: 'storing' | 'stored'): number[] {
    const packetIds: number[] = [];
    for (const [packetId, own] of this.#qos2 ?? []) {
      if (own === state) packetIds.push(packetId);
    }
    return packetIds;
  }

  /** Counted against the receive maximum [MQTT-3.3.4-7]. */
  get count(): number {
    return this.#qos1 + (this.#qos2?.size ?? 0);
  }

  /** Packets that were received and whose answer is still to come: it needs none of the client. */
  get unanswered(): number {
    return this.count - this.#stored + this.#requests + this.#settling;
  }

  /** A SUBSCRIBE or UNSUBSCRIBE of so many bytes waits for ds. False: no more are to be read. */
  beginRequest(bytes: number): boolean {
    this.#requests += 1;
    this.#requestBytes += bytes;
    return !this.tooManyRequests;
  }

  get tooManyRequests(): boolean {
    return this.#requests + this.#settling >= requestsMax || this.#requestBytes >= requestBytesMax;
  }

  /** Answers the publishes that waited for it. */
  endRequest(bytes: number): readonly Publish[] {
    this.#requests -= 1;
    this.#requestBytes -= bytes;
    this.#requestsAnswered += 1;
    const held = this.#held;
    if (held === undefined) return nothing;
    const until = held.findIndex(({ requests }) => requests > this.#requestsAnswered);
    const released = until < 0 ? held : held.slice(0, until);
    this.#held = until < 0 ? undefined : held.slice(until);
    return released.map(({ publish }) => {
      this.#heldBytes -= publish.message.heldBytes;
      return publish;
    });
  }

  /** A publish comes after a SUBSCRIBE that is not answered: it is to meet the subscription. */
  get holdsPublishes(): boolean {
    return this.#requests > 0;
  }

  /** False: no more are to be read for now. */
  hold(publish: Publish): boolean {
    const held = (this.#held ??= []);
    held.push({ publish, requests: this.#requestsAnswered + this.#requests });
    this.#heldBytes += publish.message.heldBytes;
    return !this.tooManyHeld;
  }

  get tooManyHeld(): boolean {
    return (this.#held?.length ?? 0) >= heldMax || this.#heldBytes >= heldBytesMax;
  }

  /** The connection ends: nothing is waited for. */
  takeHeld(): readonly Publish[] {
    const held = this.#held;
    this.#held = undefined;
    this.#heldBytes = 0;
    return held === undefined ? nothing : held.map(({ publish }) => publish);
  }

  restore(packetIds: readonly number[]): void {
    for (const packetId of packetIds) this.set2(packetId, 'stored');
  }

  /** A retained message at QoS 0, which has no answer. */
  retained0(): void {
    this.#unsettled = true;
  }

  /** Whether ds is to be asked what became of such messages; then `endSettling` follows. */
  beginSettling(): boolean {
    if (!this.#unsettled) return false;
    this.#unsettled = false;
    this.#settling += 1;
    return true;
  }

  endSettling(): void {
    this.#settling -= 1;
  }

  begin1(): void {
    this.#qos1 += 1;
  }

  end1(): void {
    this.#qos1 -= 1;
  }

  state2(packetId: number): 'storing' | 'stored' | 'releasing' | undefined {
    return this.#qos2?.get(packetId);
  }

  set2(packetId: number, state: 'storing' | 'stored' | 'releasing'): void {
    const states = (this.#qos2 ??= new Map<number, 'storing' | 'stored' | 'releasing'>());
    if (states.get(packetId) === 'stored') this.#stored -= 1;
    if (state === 'stored') this.#stored += 1;
    states.set(packetId, state);
  }

  end2(packetId: number): void {
    if (this.#qos2?.get(packetId) === 'stored') this.#stored -= 1;
    this.#qos2?.delete(packetId);
  }
}
