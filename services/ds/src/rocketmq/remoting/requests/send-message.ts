export interface SendRequest {
  readonly topic: string;
  readonly queueId: number;
  /** Names and values as `propertyText` joins them. */
  readonly properties: string;
  readonly body: Buffer;
  /** Milliseconds since 1970. */
  readonly bornMs: number;
  /** Default: that of the client. */
  readonly timeoutMs?: number;
}

/**
 * What became of a send:
 * - stored: for certain. Code 10 flushed late, 11 no slave, 12 slave late; never to be sent again.
 * - refused: for certain not stored.
 * - unknown: it was written and nothing certain came back; it may be stored, now or later.
 * - not sent: it never left this process and never will.
 */
export type SendAnswer =
  | {
      readonly kind: 'stored';
      readonly code: 0 | 10 | 11 | 12;
      readonly queueId: number;
      /** In the topic's ordinary queue; those in light queues are in the stored message only. */
      readonly queueOffset: number;
      readonly msgId: string;
      /** Given by 5.x. */
      readonly transactionId: string | undefined;
    }
  | { readonly kind: 'refused'; readonly code: number; readonly remark: string }
  | { readonly kind: 'unknown'; readonly reason: string }
  | { readonly kind: 'not sent'; readonly reason: string };
