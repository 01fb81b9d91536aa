import type { SessionHandle } from '@lmqtt/common/ids';
import type { UndeliveredMessage } from '@lmqtt/proto/undelivered';

/** The session that a report is about. */
export interface Reporting {
  readonly handle: SessionHandle;
  readonly closed: boolean;
}

/** Where a node's sessions tell of stored messages that they could not deliver. */
export interface UndeliveredReports {
  /** Those, too, that expire before they are sent. */
  readonly ofExpired: boolean;
  /**
   * Calls `done` when ds has the message as a dead letter or does not keep it. False: too many wait, or
   * the session has ended; then it does not come.
   */
  report(session: Reporting, message: UndeliveredMessage, done?: () => void): boolean;
}
