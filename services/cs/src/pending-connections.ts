import { addressGroup } from '@lmqtt/common/address-group';

interface PendingLimits {
  readonly countMax: number;
  readonly ofAddressMax: number;
  readonly bytesMax: number;
}

type PendingLimit = 'MAX_PENDING_CONNECTIONS' | 'MAX_PENDING_PER_ADDRESS' | 'MAX_PENDING_BYTES';

/** A connection before its CONNACK, or a handshake before that. */
export interface Pending {
  readonly group: Group;
  readonly evict: () => void;
  bytes: number;
  /** Whether the client has sent its CONNECT and waits for the answer. */
  asks: boolean;
}

interface Group {
  readonly name: string;
  /**
   * Connections whose client has to send something, and those that wait for an answer (`asking`),
   * each with the oldest first.
   */
  readonly silent: Set<Pending>;
  readonly asking: Set<Pending>;
  bytes: number;
}

/**
 * Connections without a session, with limits of their own: however many of them there are, clients
 * with a session lose nothing by it. Where there are too many, the oldest that says nothing of the
 * address with the most goes (where all of them have sent their CONNECT, the newest), so that no
 * address keeps out another.
 */
export class PendingConnections {
  readonly #limits: PendingLimits;
  readonly #onLimit: (limit: PendingLimit) => void;
  readonly #groups: Map<string, Group> = new Map();
  #countAll = 0;
  #asking = 0;
  #bytes = 0;

  constructor(limits: PendingLimits, onLimit: (limit: PendingLimit) => void) {
    this.#limits = limits;
    this.#onLimit = onLimit;
  }

  get count(): number {
    return this.#countAll;
  }

  get askingCount(): number {
    return this.#asking;
  }

  /**
   * `evict` is called at most once, where the connection has to go, also within this call; the
   * connection has been removed then.
   */
  add(address: string, evict: () => void): Pending {
    const name = addressGroup(address);
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = { name, silent: new Set(), asking: new Set(), bytes: 0 };
      this.#groups.set(name, group);
    }
    const pending = { group, evict, bytes: 0, asks: false };
    group.silent.add(pending);
    this.#countAll += 1;
    if (sizeOf(group) > this.#limits.ofAddressMax) {
      this.#evictOf(group, pending, 'MAX_PENDING_PER_ADDRESS');
    } else if (this.#countAll > this.#limits.countMax) {
      this.#evictOf(this.#worst(sizeOf), pending, 'MAX_PENDING_CONNECTIONS');
    }
    return pending;
  }

  /** The connection has a session, or has ended. */
  remove(pending: Pending): void {
    const { group } = pending;
    if (!group.silent.delete(pending) && !group.asking.delete(pending)) return;
    this.#countAll -= 1;
    if (pending.asks) this.#asking -= 1;
    this.#bytes -= pending.bytes;
    group.bytes -= pending.bytes;
    if (sizeOf(group) === 0) this.#groups.delete(group.name);
  }

  /** The connection's CONNECT or AUTH has come, or was answered by a challenge. */
  setAsks(pending: Pending, asks: boolean): void {
    const { silent, asking } = pending.group;
    const [from, to] = asks ? [silent, asking] : [asking, silent];
    if (!from.delete(pending)) return;
    to.add(pending);
    pending.asks = asks;
    this.#asking += asks ? 1 : -1;
  }

  /**
   * More bytes of the connection are kept. A connection that is alone may have more than there is
   * room for.
   */
  grew(pending: Pending, bytes: number): void {
    const { group } = pending;
    if (!group.silent.has(pending) && !group.asking.has(pending)) return;
    pending.bytes += bytes;
    group.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes <= this.#limits.bytesMax || pending.bytes === this.#bytes) return;
    const worst = this.#worst((each) => each.bytes);
    let largest: Pending | undefined;
    for (const each of [...worst.silent, ...worst.asking]) {
      if (largest === undefined || each.bytes > largest.bytes) largest = each;
    }
    if (largest !== undefined) this.#end(largest, 'MAX_PENDING_BYTES');
  }

  #worst(measure: (group: Group) => number): Group {
    let worst: Group | undefined;
    for (const group of this.#groups.values()) {
      if (worst === undefined || measure(group) > measure(worst)) worst = group;
    }
    return worst!;
  }

  /**
   * Evicts one connection of the group; the one that has just come only where there is no other.
   */
  #evictOf(group: Group, added: Pending, limit: PendingLimit): void {
    for (const oldest of group.silent) {
      if (oldest === added) continue;
      this.#end(oldest, limit);
      return;
    }
    this.#end([...group.asking].at(-1) ?? added, limit);
  }

  #end(pending: Pending, limit: PendingLimit): void {
    this.#onLimit(limit);
    this.remove(pending);
    pending.evict();
  }
}

function sizeOf({ silent, asking }: Group): number {
  return silent.size + asking.size;
}
