// Questions of the ops role about nodes, clients and messages, and what it can do to them.
import type { ClientId, NodeId } from '@lmqtt/common/ids';

import type { Forward } from './inner-requests.ts';

/** `null`: the node that is asked does not know it. */
export interface NodeStatus {
  readonly id: NodeId;
  readonly role: 'cs' | 'ds' | 'standalone';
  /** `gone`: its lease has ended within the last hour. */
  readonly state: 'alive' | 'draining' | 'gone';
  readonly version: string | null;
  /** Address: of a ds the one for cs nodes, of a cs the one for clients. */
  readonly address: string | null;
  /** Wall clock. */
  readonly startedAtMs: number | null;
  /** Since its lease was renewed. */
  readonly leaseAgeMs: number | null;
  /** Number of clients' connections. */
  readonly connections: number;
}

export interface ClientStatus {
  readonly clientId: ClientId;
  /** `null`: not connected. */
  readonly connection: ConnectionStatus | null;
  /** Owner of the session; `null`: anonymous. */
  readonly user: string | null;
  readonly subscriptions: number;
  /** Messages that wait for it, without those in flight. */
  readonly queued: number;
  readonly inflight: number;
  /** Messages that it was owed and lost to a limit on queues or on the log, since the start. */
  readonly lost: number;
  /** 4294967295: never. */
  readonly sessionExpiryS: number;
}

/** One client: also what it subscribes to, and how far it has come there. */
export interface ClientDetailStatus extends ClientStatus {
  readonly createdAtMs: number;
  readonly will: {
    readonly topic: string;
    readonly qos: number;
    readonly retain: boolean;
    readonly delayS: number;
    readonly payloadBytes: number;
  } | null;
  readonly subscriptionList: readonly {
    readonly filter: string;
    readonly qos: number;
    readonly noLocal: boolean;
    readonly retainAsPublished: boolean;
    readonly retainHandling: number;
    readonly subscriptionIdentifier: number | null;
    readonly group: string | null;
    readonly queue: number;
    readonly partitions: readonly {
      readonly partition: number;
      readonly position: number | null;
      readonly end: number | null;
    }[];
    readonly backlog: number;
    readonly inFlight: number;
  }[];
  readonly inboundQos2: number;
  readonly outboundQos1: number;
  readonly outboundQos2: number;
}

/** All that is given has to fit. */
export interface ClientFilter {
  readonly prefix?: string;
  readonly user?: string;
  readonly node?: string;
  readonly address?: string;
  readonly connected?: boolean;
  readonly protocol?: number;
  readonly subscribed?: string;
}

interface ConnectionStatus {
  readonly nodeId: NodeId;
  readonly address: string;
  /** Name of the listener that it came by. */
  readonly listener?: string | undefined;
  /** The protocol level: 3, 4 (MQTT 3.1.1) or 5. */
  readonly protocolLevel: number;
  readonly userName: string | null;
  readonly keepAliveS: number;
  readonly connectedAtMs: number;
}

interface Page {
  /** `null`: from the beginning. */
  readonly after: ClientId | null;
  readonly limit: number;
  readonly filter: ClientFilter;
}

interface ClientPage {
  readonly clients: readonly ClientStatus[];
  /** The next page is behind it; `null`: this is the last. */
  readonly next: ClientId | null;
}

/** A message that could not be delivered. */
export interface DeadLetterStatus {
  readonly id: string;
  readonly reason: string;
  /** Code in the client's PUBACK or PUBREC; 0: none. */
  readonly reasonCode: number;
  readonly clientId: string;
  /** Of the subscription. */
  readonly filter: string;
  readonly topic: string;
  readonly qos: number;
  readonly publisher: string;
  readonly attempts: number;
  /** Wall clock, as the others. */
  readonly firstAttemptAtMs: number;
  readonly lastAttemptAtMs: number;
  readonly deadAtMs: number;
  readonly payloadBytes: number;
}

interface WholeDeadLetter extends DeadLetterStatus {
  /** Base64. */
  readonly payload: string;
  /** Base64: as in a PUBLISH of MQTT 5.0, without their length. */
  readonly properties: string;
}

/** `after` `null`: from the oldest. */
export interface DeadLettersSource {
  list(after: string | null, limit: number): Promise<readonly DeadLetterStatus[]>;
  one(id: string): Promise<WholeDeadLetter | null>;
  /** False: there is no such. */
  replay(id: string, delayMs: number): Promise<boolean>;
  /** `null`: all. How many there were. */
  purge(id: string | null): Promise<number>;
}

/** A message that waits for its time. */
export interface DelayedStatus {
  readonly id: number;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payloadBytes: number;
  readonly clientId: string;
  readonly dueAtMs: number;
}

/** The last message of the page before. */
export type DelayedPlace = Pick<DelayedStatus, 'dueAtMs' | 'id'>;

/**
 * - `clients` gives those whose id is greater than `after`, in one fixed order of ids, at most
 *   `limit` of them. Sessions without a connection are among them.
 * - `client` is `null` where there is no session of that id.
 * - `removeSession` ends a session, connected or not; its will is due. False: there is none.
 * - `disconnect` ends the connection (v5: DISCONNECT 0x98); the session stays as its expiry says.
 *   It resolves to false where the client is not connected.
 * - `delayed` gives messages that wait for their time, in the order of their times and ids.
 * - `cancelDelayed` resolves to false where no message of that id waits.
 */
export interface OpsSource {
  nodes(): Promise<readonly NodeStatus[]>;
  clients(page: Page): Promise<ClientPage>;
  client(id: ClientId): Promise<ClientDetailStatus | null>;
  disconnect(id: ClientId): Promise<boolean>;
  removeSession(id: ClientId): Promise<boolean>;
  readonly deadLetters: DeadLettersSource;
  delayed(after: DelayedPlace | undefined, linesMax: number): Promise<readonly DelayedStatus[]>;
  cancelDelayed(id: number): Promise<boolean>;
}

/** Source of a cs, which passes requests on to a ds. */
export interface RemoteSource {
  /** Undefined: a ds knows them. */
  readonly nodes: (() => Promise<readonly NodeStatus[]>) | undefined;
  readonly forward: Forward;
}

/** Throws where requests are passed on: none of them comes here then. */
export function localOf(source: OpsSource | RemoteSource): () => OpsSource {
  return () => {
    if ('forward' in source) throw new Error('this request is for another node');
    return source;
  };
}
