import type { ClientId, GroupId, NodeId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { MemberOut } from '../../group-store/absent-members.ts';
import type { GroupPlace } from '../../group-store/cluster-group-store.ts';

/** A connected member, as the ds where it lives knows it. */
export interface Join {
  readonly kind: 'join';
  readonly group: GroupId;
  readonly client: ClientId;
  /** Epoch of its claim. */
  readonly epoch: number;
  readonly cs: NodeId;
  readonly handle: SessionHandle;
  readonly filter: string;
  /** Rights of the member to read; absent: everything. */
  readonly rights?: string | undefined;
  /** Nobody has given it anything on this connection. */
  readonly fresh: boolean;
  readonly credit: number;
  /** Messages that it has sent and not completed. */
  readonly outs: readonly MemberOut[];
}

/** Items that ds nodes tell one another of shared groups. */
export type GroupItem =
  // From where a member lives to the owner
  | Join
  /** The member's connection ended. */
  | {
      readonly kind: 'left';
      readonly group: GroupId;
      readonly client: ClientId;
      readonly epoch: number;
      readonly outs: readonly MemberOut[];
    }
  /** The session is a member no more; `places`: messages that count as done. */
  | {
      readonly kind: 'leave';
      readonly group: GroupId;
      readonly client: ClientId;
      readonly epoch: number;
      readonly places: readonly GroupPlace[];
    }
  /** `marked`: they are in the store's done set. */
  | {
      readonly kind: 'done';
      readonly group: GroupId;
      readonly marked: boolean;
      readonly places: GroupPlace[];
    }
  /** How many messages it may have been given, since it joined or was fenced. */
  | {
      readonly kind: 'credit';
      readonly group: GroupId;
      readonly client: ClientId;
      readonly epoch: number;
      readonly total: number;
    }
  /** The member's rights to read have changed. */
  | {
      readonly kind: 'rights';
      readonly group: GroupId;
      readonly client: ClientId;
      readonly epoch: number;
      readonly rights?: string | undefined;
    }
  /** The member has answered the owner's fence. */
  | {
      readonly kind: 'fenced';
      readonly group: GroupId;
      readonly client: ClientId;
      readonly epoch: number;
      readonly fence: number;
      readonly credit: number;
      readonly outs: readonly MemberOut[];
    }
  /** All members that live here have been told to the owner of that epoch. */
  | { readonly kind: 'here'; readonly group: GroupId; readonly ownerEpoch: number }
  /** Something of its queue has arrived there. */
  | { readonly kind: 'arrived'; readonly group: GroupId; readonly partition: number }
  | { readonly kind: 'message'; readonly group: GroupId; readonly message: MessageText }
  // From the owner to all
  | {
      readonly kind: 'owner';
      readonly group: GroupId;
      readonly name: string;
      readonly queue: QueueId;
      readonly ownerEpoch: number;
    }
  /** All groups of the sender; others of which it is thought to be the owner are not. */
  | { readonly kind: 'owns'; readonly groups: readonly GroupId[] }
  /** To the owner, or from it. */
  | { readonly kind: 'gone'; readonly group: GroupId };

/** A message that is not stored. */
interface MessageText {
  readonly topic: string;
  readonly retain: boolean;
  /** Base64. */
  readonly payload: string;
  readonly properties: string | undefined;
  readonly expiresAtMs: number;
  readonly expiryS?: number;
  readonly publisher: string;
}

export function messageText(message: Message): MessageText {
  const { topic, retain, payload, properties, expiresAtMs, expiryS, publisher } = message;
  return {
    topic,
    retain,
    payload: payload.toString('base64'),
    properties: properties?.toString('base64'),
    expiresAtMs,
    expiryS,
    publisher,
  };
}

export function messageOfText(text: MessageText): Message {
  const { payload, properties, ...rest } = text;
  return messageOf({
    ...rest,
    qos: 0,
    payload: Buffer.from(payload, 'base64'),
    properties: properties === undefined ? undefined : Buffer.from(properties, 'base64'),
  });
}
