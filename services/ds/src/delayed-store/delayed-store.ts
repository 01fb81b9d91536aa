import type { ClientId, Epoch } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';

/** A message that is to be published later. */
export interface DelayedPut {
  /** With the topic that it is to have. */
  readonly message: Message;
  /** Wall clock of the ds that took it. */
  readonly dueAtMs: number;
  /** The same from now on; undefined: the publisher named a time of day. */
  readonly afterMs: number | undefined;
  /** State of a QoS 2 publish, stored with the message so that it is put once. */
  readonly inbound: DelayedInbound | undefined;
  /** Set by the store: 0, or the failure for the publisher. */
  reasonCode: number;
  /** Set by the store with a failure that comes from a limit. */
  limit?: DelayedLimit | undefined;
}

export interface DelayedInbound {
  readonly clientId: ClientId;
  readonly epoch: Epoch;
  /** Names its session among those of the client. */
  readonly madeEpoch: Epoch;
  readonly packetId: number;
}

export type DelayedLimit = 'MAX_DELAYED_MESSAGES' | 'MAX_DELAYED_BYTES';

export interface DelayedLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** A message whose time has come. */
export interface DueMessage {
  readonly id: number;
  readonly message: Message;
  /** Set by a store that several ds share: the message is appended once, whoever tries. */
  readonly sending:
    { readonly key: string; readonly sinceMs: number; readonly again: boolean } | undefined;
}

/** A message that waits, for operators. */
export interface DelayedLine {
  readonly id: number;
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payloadBytes: number;
  readonly clientId: string;
  readonly dueAtMs: number;
}

/** The last line of the page before. */
export interface DelayedPlace {
  readonly dueAtMs: number;
  readonly id: number;
}

/**
 * Messages that wait for their time.
 *
 * Promises
 * - put: durable when `done` comes, or refused with a reason code; a QoS 2 publish with its packet
 *   identifier. `done` never comes during the call.
 * - takeDue: those whose time has come, in the order of their times, those of one time in the order
 *   of the puts. Each stays until `sent`, and is given again after `failed`.
 * - sending: the message goes to a store that shares its commits with this one: what is said now is
 *   durable with it.
 * - cancel: false where there is none of that id, or it is being sent.
 * - page: in the order of times and ids.
 */
export interface DelayedStore {
  readonly count: number;
  readonly bytes: number;
  put(batch: readonly DelayedPut[], done: () => void): void;
  takeDue(messagesMax: number): DueMessage[] | Promise<DueMessage[]>;
  sending(due: DueMessage): void;
  sent(due: DueMessage): Promise<void>;
  failed(due: DueMessage): void;
  /** These packet identifiers of the session are stored: what comes with one later is new. */
  identified?(clientId: ClientId, madeEpoch: Epoch, packetIds: Iterable<number>): void;
  cancel(id: number): Promise<boolean>;
  page(after: DelayedPlace | undefined, linesMax: number): Promise<DelayedLine[]>;
}
