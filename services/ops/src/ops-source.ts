// Questions of the ops role about nodes, clients and messages, and what it can do to them.
import type { ClientId, NodeId } from '@lmqtt/common/ids';

import type { Caller } from './access.ts';
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
  readonly subscriptionList: readonly (SubscriptionLine & {
    readonly partitions: readonly {
      readonly partition: number;
      readonly position: number | null;
      readonly end: number | null;
    }[];
    readonly backlog: number;
    readonly inFlight: number;
  })[];
  readonly inboundQos2: number;
  readonly outboundQos1: number;
  readonly outboundQos2: number;
}

/** One of the last events of a client. */
interface ClientEvent {
  readonly atMs: number;
  readonly event: string;
  readonly detail: string;
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
  readonly topic?: string;
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
  /** Filter of the subscription. */
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

export const banKinds = ['client', 'user', 'address'] as const;
export type BanKind = (typeof banKinds)[number];

interface BanStatus {
  readonly kind: BanKind;
  readonly who: string;
  readonly reason: string;
  readonly by: string;
  /** Clock of the broker, as the other. */
  readonly createdAtMs: number;
  /** `null`: it has no end. */
  readonly endsAtMs: number | null;
}

/** `end` null: it has none. */
interface WantedBan extends Pick<BanStatus, 'kind' | 'who' | 'reason' | 'by'> {
  readonly end: { readonly forMs: number } | { readonly atMs: number } | null;
}

/** `after` is kind and name of a ban with a space between them; '': from the first. */
export interface BansSource {
  list(after: string, limit: number, kind: BanKind | undefined): Promise<readonly BanStatus[]>;
  /** `full`: there are as many as the limit allows; `over`: its end has passed. */
  put(wanted: WantedBan): Promise<BanStatus | 'full' | 'over'>;
  /** False: there was none in force. */
  remove(kind: BanKind, who: string): Promise<boolean>;
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

interface SubscriptionLine {
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly retainHandling: number;
  readonly subscriptionIdentifier: number | null;
  readonly group: string | null;
  readonly queue: number;
}

interface SubscriptionPage {
  readonly clients: readonly {
    readonly id: ClientId;
    readonly connected: boolean;
    readonly lines: readonly SubscriptionLine[];
  }[];
  readonly next: ClientId | null;
}

/** A message that an operator publishes. */
export interface PublishRequest {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly payload: Buffer;
  /** 1: the payload is UTF-8. */
  readonly payloadFormatIndicator: 0 | 1 | undefined;
  /** 0: it does not expire. */
  readonly expiryS: number;
  readonly contentType: string | undefined;
  readonly responseTopic: string | undefined;
  readonly correlationData: Buffer | undefined;
  readonly userProperties: readonly { readonly name: string; readonly value: string }[];
}

interface PublishResult {
  /** As in PUBACK. */
  readonly reasonCode: number;
  readonly stored: { readonly placement: number; readonly offset: number } | null;
  readonly filters: readonly string[];
  readonly subscriptions: number;
}

/** A message as it is stored. */
export interface StoredMessage {
  readonly topic: string;
  readonly qos: number;
  readonly payload: Buffer;
  readonly publisher: string;
  /** 0: never. */
  readonly expiresAtMs: number;
  /** 0: not known. */
  readonly storedMs: number;
}

interface QueueStatus {
  readonly id: number;
  readonly filter: string;
  readonly place: string;
  readonly groups: number;
}

interface QueueDetailStatus extends QueueStatus {
  readonly partitions: readonly object[];
}

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
  subscriptions(page: Page): Promise<SubscriptionPage>;
  publish(caller: Caller, messages: readonly PublishRequest[]): Promise<readonly PublishResult[]>;
  retained(
    filter: string,
    after: string,
    limit: number,
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly next: string | null }>;
  retainedOf(topic: string): Promise<StoredMessage | null>;
  groups(): Promise<readonly object[]>;
  queues(after: string, limit: number, filter: string | undefined): Promise<readonly QueueStatus[]>;
  queue(id: number): Promise<QueueDetailStatus | null>;
  peek(peek: {
    readonly queue: number;
    readonly partition: number;
    readonly from: number;
    readonly messagesMax: number;
  }): Promise<{
    readonly messages: readonly { readonly offset: number; readonly message: StoredMessage }[];
    readonly next: number;
  } | null>;
  nodes(): Promise<readonly NodeStatus[]>;
  /**
   * A node is to send its clients away and take no others, or to take them again. `unknown`: there
   * is no such node; `alone`: it is the only ds, and nobody could have its work.
   */
  drain(id: NodeId, draining: boolean): Promise<'asked' | 'unknown' | 'alone'>;
  /** Counters of all cs with their rates, by name. */
  counters(): object;
  clients(page: Page): Promise<ClientPage>;
  client(id: ClientId): Promise<ClientDetailStatus | null>;
  disconnect(id: ClientId): Promise<boolean>;
  /** The oldest first. */
  history(id: ClientId): Promise<readonly ClientEvent[]>;
  removeSession(id: ClientId): Promise<boolean>;
  readonly deadLetters: DeadLettersSource;
  readonly bans: BansSource;
  delayed(after: DelayedPlace | undefined, linesMax: number): Promise<readonly DelayedStatus[]>;
  cancelDelayed(id: number): Promise<boolean>;
}

/** A setting of a process. */
export interface ConfigLine {
  readonly name: string;
  /** As it is in force; secrets are hidden. */
  readonly value: string | number | boolean | null;
  readonly from: 'default' | 'file' | 'environment' | 'flag';
  /** Flag, variable, or file and line; '': it is the default. */
  readonly source: string;
}

/** This process. */
export interface LocalSource {
  readonly nodeId: string;
  config(): readonly ConfigLine[];
  logLevel(): string;
  setLogLevel(level: string): void;
  /** Clients of this process are sent away, or taken again; absent: another part knows how. */
  readonly drain?: (draining: boolean) => Promise<void>;
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
