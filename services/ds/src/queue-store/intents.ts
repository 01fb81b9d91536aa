import type { ClientId } from '@lmqtt/common/ids';
import type { InboundId } from './queue-store.ts';

/**
 * A QoS 2 publish that is about to be sent to a store which cannot keep its packet identifier in
 * the message's own record: where and by what the message is found again.
 */
export interface Intent extends InboundId {
  /** Key of the message, unique. */
  readonly key: string;
  /** Destination of the message: the ordinary queue of the store. */
  readonly place: IntentPlace;
  /** The message cannot be at a lower offset of that place. */
  readonly from: number;
}

interface IntentPlace {
  readonly topic: string;
  readonly broker: string;
  readonly queueId: number;
}

/**
 * The open intents of sessions, kept with the session itself and fenced as it is.
 *
 * Promises
 * - intend: durable when `done` comes; `kept[i]` false: the session is another's by now, and the
 *   message must not be sent.
 * - stored: the message is durable; `done` comes when its identifier is, and its intent is gone.
 * - dropped: the message is known not to be stored and will not be; the intent goes soon.
 * - Calls of one turn are one write, and take effect in the order of the calls.
 * - open: the intents of the client's session, as far as they were durable when this ds got it.
 */
export interface Intents {
  intend(batch: readonly Intent[], done: (kept: boolean[]) => void): void;
  stored(batch: readonly InboundId[], done: () => void): void;
  dropped(batch: readonly InboundId[]): void;
  open(clientId: ClientId): Promise<Intent[]>;
}
