export interface PullRequest {
  /** A group named `%LMQ%…` exists without being made. */
  readonly group: string;
  readonly topic: string;
  /** 0 for a light queue. */
  readonly queueId: number;
  readonly offset: number;
  /** The broker gives 32 at most as it is shipped. */
  readonly messagesMax: number;
  /** How long the broker waits where there is nothing yet; 0: it answers at once. */
  readonly suspendMs: number;
  /** `*`, or tags joined by ` || `. */
  readonly subscription: string;
  /** Past `suspendMs`. Default: that of the client. */
  readonly timeoutMs?: number;
}

export type PullAnswer =
  | {
      readonly kind: 'found';
      /** Stored messages one behind the other. Shares memory with what was received with it. */
      readonly body: Buffer;
      /** Where the next pull begins. */
      readonly next: number;
      readonly min: number;
      readonly max: number;
    }
  /** 19: nothing there, 20: nothing with these tags, 21: outside the queue; go on at `next`. */
  | {
      readonly kind: 'nothing';
      readonly code: 19 | 20 | 21;
      readonly next: number;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: 'failed'; readonly code: number | undefined; readonly reason: string };
