import { sessionHandle } from '@lmqtt/common/ids';
import type { SessionHandle } from '@lmqtt/common/ids';
import { ConnectionQuota } from './connection-quota.ts';
import type { Client, ClientNode, ConnectionCount } from './connection/client.ts';
import { Connection } from './connection/connection.ts';
import { PendingConnections } from './pending-connections.ts';
import type { ListenerPlace } from './listener-place.ts';
import type { Session } from './session/session.ts';
import type { ByteStream } from './transport/transport.ts';

/** The connections of a node, from their acceptance to their end, with a session or before it. */
export class Connections implements ConnectionCount {
  readonly #node: ClientNode;
  readonly #byHandle: Map<SessionHandle, Connection> = new Map();
  readonly pending: PendingConnections;
  readonly ofAddresses: ConnectionQuota | undefined;
  readonly ofUsers: ConnectionQuota | undefined;
  #lastHandle = 0;
  #openCount = 0;
  #acceptedThisSecond = 0;
  #acceptSecond = 0;

  constructor(node: ClientNode) {
    this.#node = node;
    const { maxPendingConnections, maxPendingPerAddress, maxPendingBytes } = node.config;
    const { maxConnectionsPerAddress, maxConnectionsPerUser } = node.config;
    this.ofAddresses = quotaOf(maxConnectionsPerAddress);
    this.ofUsers = quotaOf(maxConnectionsPerUser);
    this.pending = new PendingConnections(
      {
        countMax: maxPendingConnections,
        ofAddressMax: maxPendingPerAddress,
        bytesMax: maxPendingBytes,
      },
      (limit) => node.events.limit(limit),
    );
  }

  /** A handshake before there is a stream: it counts like a connection that says nothing. */
  add(address: string, evict: () => void): () => void {
    const pending = this.pending.add(address, evict);
    return () => this.pending.remove(pending);
  }

  /** The handle that the next connection is after. */
  numberFrom(handle: number): void {
    this.#lastHandle = handle;
  }

  accept(stream: ByteStream, place?: ListenerPlace): void {
    const { counters, config, time } = this.#node;
    counters.accepted += 1;
    const second = Math.floor(time.monotonicMs / 1000);
    if (second !== this.#acceptSecond) {
      this.#acceptSecond = second;
      this.#acceptedThisSecond = 0;
    }
    this.#acceptedThisSecond += 1;
    this.#lastHandle += 1;
    const connection = new Connection(this.#node, stream, sessionHandle(this.#lastHandle));
    // There was no room for one more.
    if (connection.ended) return;
    connection.place = place;
    const { maxConnectionRate } = config;
    connection.tooFast = maxConnectionRate > 0 && this.#acceptedThisSecond > maxConnectionRate;
    this.#byHandle.set(connection.handle, connection);
    counters.connectionsMaximum = Math.max(counters.connectionsMaximum, this.size);
  }

  renumber(handle: SessionHandle): SessionHandle {
    const connection = this.#byHandle.get(handle);
    this.#lastHandle += 1;
    const next = sessionHandle(this.#lastHandle);
    if (connection === undefined) return next;
    this.#byHandle.delete(handle);
    this.#byHandle.set(next, connection);
    return next;
  }

  opened({ place }: Client): void {
    this.#openCount += 1;
    if (place !== undefined) place.open += 1;
  }

  ended(connection: Client): void {
    this.#byHandle.delete(connection.handle);
    this.ofAddresses?.remove(connection);
    this.ofUsers?.remove(connection);
    if (connection.session === undefined) return;
    this.#openCount -= 1;
    if (connection.place !== undefined) connection.place.open -= 1;
  }

  get(session: SessionHandle): Connection | undefined {
    return this.#byHandle.get(session);
  }

  /** As of now: it may be walked while some of them end. */
  all(): Connection[] {
    return [...this.#byHandle.values()];
  }

  *sessions(): Iterable<Session> {
    for (const { session } of this.#byHandle.values()) {
      if (session !== undefined) yield session;
    }
  }

  get size(): number {
    return this.#byHandle.size;
  }

  get sessionCount(): number {
    return this.#openCount;
  }

  inflightCount(): number {
    let count = 0;
    for (const session of this.sessions()) count += session.window.count;
    return count;
  }
}

/** 0: no limit. */
function quotaOf(max: number): ConnectionQuota | undefined {
  return max === 0 ? undefined : new ConnectionQuota(max);
}
