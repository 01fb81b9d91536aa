import type { SessionWrite } from '@lmqtt/proto/link';

/** Destination of a session's writes; batched by the node, once per turn. */
export interface SessionJournal {
  /** May wait for others. */
  write(write: SessionWrite): void;
  /** `then` is called when this and everything before it is durable. */
  writeDurably(write: SessionWrite, then: () => void): void;
}
