import { cursorsText } from '@lmqtt/common/cursor-text';
import type { NodeId } from '@lmqtt/common/ids';
import type { SessionWrite } from '@lmqtt/proto/link';
import type { Intent } from '../../queue-store/intents.ts';
import type { Argument } from '../../redis/connection.ts';
import { intentText, outboundText, subscriptionText } from './fields.ts';
import type { StoredSession } from '../stored-session.ts';
import type { WriteBatch } from './write-batch.ts';

/** Which fields differ from what is stored. */
export class DirtyFields {
  readonly subscriptions: Set<string> = new Set();
  readonly cursors: Set<string> = new Set();
  readonly outbound: Set<number> = new Set();
  readonly inbound: Set<number> = new Set();
  readonly intents: Set<number> = new Set();

  add(other: DirtyFields): void {
    for (const filter of other.subscriptions) this.subscriptions.add(filter);
    for (const filter of other.cursors) this.cursors.add(filter);
    for (const packetId of other.outbound) this.outbound.add(packetId);
    for (const packetId of other.inbound) this.inbound.add(packetId);
    for (const packetId of other.intents) this.intents.add(packetId);
  }
}

/**
 * A session that this ds writes for: what of it is still to be stored, and its writes under way.
 * They are a chain, each naming the version of the one before, so that a later one is not done
 * where an earlier was not.
 */
export class SessionEntry {
  readonly session: StoredSession;
  readonly cs: NodeId;
  /** Score of its note in the registry. */
  readonly noted: string;
  version: number;
  /** A write has failed: the next waits until all are answered, and carries what they had. */
  broken = false;
  inFlight = 0;
  /** Another has it. */
  fenced = false;
  /** The session ends, and nothing more is written. */
  closing = false;
  releasing: Promise<unknown> | undefined = undefined;
  dirty: DirtyFields | undefined = undefined;
  /** Batches that wait for what is dirty. */
  waiting: WriteBatch[] = [];
  readonly intents: Map<number, Intent> = new Map();
  /** Identifiers that the store may have, with the version of the last write that set them. */
  #storedOutbound: Map<number, number> | undefined = undefined;

  constructor(session: StoredSession, cs: NodeId, noted: string, version: number) {
    this.session = session;
    this.cs = cs;
    this.noted = noted;
    this.version = version;
    for (const { packetId } of session.outbound) this.#noteOutbound(packetId, version);
    for (const intent of session.intents) this.intents.set(intent.packetId, intent);
  }

  /** To be asked before the write is applied: `done` forgets what it was about. */
  mark(write: SessionWrite): void {
    const { session } = this;
    if (write.kind === 'inbound-done') {
      this.#fields.inbound.add(write.packetId);
      return;
    }
    if (!session.persistent) return;
    switch (write.kind) {
      case 'sent':
      case 'released':
        this.#fields.outbound.add(write.packetId);
        return;
      case 'done': {
        const place = session.outboundOf(write.packetId)?.place;
        this.#fields.outbound.add(write.packetId);
        if (place?.kind === 'queue') this.#markCursors(place.queue);
        return;
      }
      case 'position':
        this.#markCursors(write.queue);
        return;
      case 'retained-cursor':
        this.#fields.subscriptions.add(write.filter);
        return;
      case 'assigned-done':
      case 'fenced':
        return;
    }
  }

  markSubscription(filter: string): void {
    this.#fields.subscriptions.add(filter);
    this.#fields.cursors.add(filter);
  }

  markInbound(packetId: number): void {
    this.#fields.inbound.add(packetId);
  }

  markIntent(packetId: number): void {
    this.#fields.intents.add(packetId);
  }

  restore(fields: DirtyFields): void {
    this.#fields.add(fields);
  }

  /** The write of that version is stored: what it removed is not there, unless it was set later. */
  written(fields: DirtyFields, version: number): void {
    const stored = this.#storedOutbound;
    if (stored === undefined) return;
    for (const packetId of fields.outbound)
      if ((stored.get(packetId) ?? version) < version) stored.delete(packetId);
  }

  /**
   * For the write of that version: count of values, field and value in turn, the fields that go.
   */
  values(fields: DirtyFields, version: number): Argument[] {
    const { session } = this;
    const set: string[] = [];
    const gone: string[] = [];
    for (const filter of fields.subscriptions) {
      const subscription = session.subscription(filter);
      if (subscription === undefined) gone.push(`s${filter}`, `c${filter}`);
      else set.push(`s${filter}`, subscriptionText(subscription));
    }
    for (const filter of fields.cursors) {
      const cursors = session.subscription(filter)?.cursors;
      if (cursors === undefined) continue;
      if (cursors.length > 0) set.push(`c${filter}`, cursorsText(cursors));
      else if (fields.subscriptions.has(filter)) gone.push(`c${filter}`);
    }
    for (const packetId of fields.outbound) {
      const state = session.outboundOf(packetId);
      if (state !== undefined) {
        set.push(`o${packetId}`, outboundText(state));
        this.#noteOutbound(packetId, version);
      } else if (this.#storedOutbound?.has(packetId) === true) gone.push(`o${packetId}`);
    }
    for (const packetId of fields.inbound) {
      if (session.hasInbound(packetId)) set.push(`i${packetId}`, '');
      else gone.push(`i${packetId}`);
    }
    for (const packetId of fields.intents) {
      const intent = this.intents.get(packetId);
      if (intent === undefined) gone.push(`j${packetId}`);
      else set.push(`j${packetId}`, intentText(intent));
    }
    return [set.length / 2, ...set, ...gone];
  }

  get #fields(): DirtyFields {
    return (this.dirty ??= new DirtyFields());
  }

  #markCursors(queue: number): void {
    for (const subscription of this.session.subscriptions)
      if (subscription.queue === queue && subscription.group === undefined)
        this.#fields.cursors.add(subscription.filter);
  }

  #noteOutbound(packetId: number, version: number): void {
    (this.#storedOutbound ??= new Map()).set(packetId, version);
  }
}
