import type { ClientId, NodeId } from '@lmqtt/common/ids';

/** Message of one ds to another, by way of the registry. */
export type DsMessage =
  /** The connection of a client that somebody waits for has ended. */
  | { readonly kind: 'ended'; readonly clientId: ClientId }
  /** Message of a use case that several ds share, by its name. */
  | { readonly kind: 'to'; readonly use: string; readonly body: unknown };

/**
 * Messages between ds nodes, in the order in which they were sent from one to another. They may
 * be lost with the registry or with a ds that is gone: whoever relies on one asks again.
 * Messages of one turn are one request.
 */
export interface Inbox {
  send(ds: NodeId, message: DsMessage): void;
  onMessage(listener: (from: NodeId, message: DsMessage) => void): void;
}
