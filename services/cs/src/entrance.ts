import { addressGroup } from '@lmqtt/common/address-group';
import { FairQueue } from '@lmqtt/common/fair-queue';
import { TurnPace } from '@lmqtt/common/turn-pace';
import type { Entering } from './connection/client.ts';

interface EntranceLimits {
  /** CONNECTs, and AUTHs before CONNACK, that ds is asked at one time. */
  readonly atOnceMax: number;
  readonly connectionsMax: number;
  /** Number of connections before CONNACK past which further ones are not accepted any sooner. */
  readonly pendingMax: number;
}

interface EntrancePorts {
  /** Connections that have a session. */
  readonly sessions: () => number;
  /** Whether ds can be asked: otherwise nobody is served, and all wait for it. */
  readonly asks: () => boolean;
  /** Number of connections that were accepted so far, and of those before CONNACK. */
  readonly accepted: () => number;
  readonly pending: () => number;
  /** Called when a client has to wait, because ds cannot be asked. */
  readonly onNoDs: () => void;
  /** Called when a client has to wait, because as many as may are being served. */
  readonly onWait: () => void;
}

/** Maximum number of known clients, about 100 bytes each. A forgotten one waits like a stranger. */
const knownMax = 32_768;

/**
 * CONNECTs that are begun in a turn in which a connection was accepted. The kernel has room for a
 * few thousand connections that nobody has accepted; past that it forgets, and resets, some of
 * them.
 */
const begunBetweenAccepts = 4;

interface Entry {
  readonly client: Entering;
  readonly group: string;
  /** Name of the client, with its address. */
  readonly name: string;
  readonly known: boolean;
  readonly begin: () => void;
  atWork: boolean;
}

/**
 * The entrance, where CONNECTs wait for their turn: they are served at the pace at which answers
 * come and turns of the loop stay short, so that a storm of them holds up nothing else. Addresses
 * take turns, and one address leaves a part of the room to the others. Clients that have come in
 * before go first, so that they do not wait behind strangers at their address. A client that waits
 * is not read, unless it waits for a ds: that may take long, and only what is read can be seen to
 * end.
 */
export class Entrance {
  readonly #limits: EntranceLimits;
  readonly #ports: EntrancePorts;
  readonly #pace: TurnPace = new TurnPace(() => this.#run());
  readonly #entries: Map<Entering, Entry> = new Map();
  readonly #waiting: FairQueue<Entry> = new FairQueue();
  readonly #waitingKnown: FairQueue<Entry> = new FairQueue();
  /** Names of clients that have come in, the longest ago first. */
  readonly #known: Set<string> = new Set();
  readonly #atWorkOf: Map<string, number> = new Map();
  readonly #groupMax: number;
  #atWork = 0;
  /** Connections accepted before this turn. */
  #acceptedBefore = 0;
  #perTurn: number | undefined = undefined;

  constructor(limits: EntranceLimits, ports: EntrancePorts) {
    this.#limits = limits;
    this.#ports = ports;
    this.#groupMax = Math.ceil((limits.atOnceMax * 3) / 4);
  }

  /** Number of clients that wait for their turn. */
  get waitingCount(): number {
    return this.#waiting.size + this.#waitingKnown.size;
  }

  /** Number of clients that wait for the answer of ds. */
  get atWorkCount(): number {
    return this.#atWork;
  }

  /**
   * `begin` is called when the client has its turn, at once where nobody waits. `left` ends the
   * turn.
   */
  enter(client: Entering, ofClient: string, begin: () => void): void {
    const group = addressGroup(client.stream.peer.address);
    const name = `${group} ${ofClient}`;
    const known = this.#known.has(name);
    const entry = { client, group, name, known, begin, atWork: false };
    this.#entries.set(client, entry);
    const isFirst = this.#waitingKnown.size === 0 && (known || this.#waiting.size === 0);
    if (
      isFirst &&
      this.#hasRoom &&
      (known || this.#mayOf(group)) &&
      this.#pace.begin(this.#perTurn)
    ) {
      this.#start(entry);
      return;
    }
    if (!this.#ports.asks()) this.#ports.onNoDs();
    else {
      if (this.#atWork >= this.#limits.atOnceMax) this.#ports.onWait();
      client.holdReading(true);
    }
    this.#queueOf(entry).add(group, entry);
    this.#pace.again();
  }

  /** The CONNECT was answered, or the client is gone. */
  left(client: Entering, accepted = false): void {
    const entry = this.#entries.get(client);
    if (entry === undefined) return;
    this.#entries.delete(client);
    const { group } = entry;
    if (!entry.atWork) {
      this.#queueOf(entry).remove(group, entry);
      return;
    }
    if (accepted) this.#remember(entry.name);
    this.#atWork -= 1;
    const ofGroup = (this.#atWorkOf.get(group) ?? 1) - 1;
    if (ofGroup === 0) this.#atWorkOf.delete(group);
    else this.#atWorkOf.set(group, ofGroup);
    if (this.waitingCount > 0) this.#pace.again();
  }

  /** ds can be asked again, or no more. */
  linkChanged(): void {
    if (this.waitingCount === 0) return;
    if (this.#ports.asks()) {
      this.#pace.again();
      return;
    }
    for (const { atWork, client } of this.#entries.values()) if (!atWork) client.holdReading(false);
  }

  #queueOf({ known }: Entry): FairQueue<Entry> {
    return known ? this.#waitingKnown : this.#waiting;
  }

  #remember(name: string): void {
    this.#known.delete(name);
    this.#known.add(name);
    for (const oldest of this.#known) {
      if (this.#known.size <= knownMax) break;
      this.#known.delete(oldest);
    }
  }

  readonly #mayOf = (group: string): boolean => (this.#atWorkOf.get(group) ?? 0) < this.#groupMax;

  /**
   * Whether one more client may be served. With sessions on all connections the next client is
   * refused rather than kept waiting.
   */
  get #hasRoom(): boolean {
    const { atOnceMax, connectionsMax } = this.#limits;
    const sessions = this.#ports.sessions();
    if (this.#atWork >= atOnceMax || !this.#ports.asks()) return false;
    return sessions >= connectionsMax || sessions + this.#atWork < connectionsMax;
  }

  #run(): void {
    const accepted = this.#ports.accepted();
    const isAccepting = accepted > this.#acceptedBefore;
    this.#acceptedBefore = accepted;
    const hurries = isAccepting && this.#ports.pending() < this.#limits.pendingMax;
    this.#perTurn = hurries ? begunBetweenAccepts : undefined;
    while (this.waitingCount > 0 && this.#hasRoom && this.#pace.begin(this.#perTurn)) {
      const entry = this.#waitingKnown.take() ?? this.#waiting.take(this.#mayOf);
      if (entry === undefined) return;
      this.#start(entry);
    }
  }

  #start(entry: Entry): void {
    const { client, group } = entry;
    entry.atWork = true;
    this.#atWork += 1;
    this.#atWorkOf.set(group, (this.#atWorkOf.get(group) ?? 0) + 1);
    client.holdReading(false);
    entry.begin();
  }
}
