import type { OutboundSession } from './outbound-session.ts';

export const retryMs = 50;

/** A read was rejected: ds is another one by now, or its store fails. It is tried again soon. */
export function pumpLater(session: OutboundSession): void {
  const timer = setTimeout(() => {
    if (!session.closed) session.node.schedule(session);
  }, retryMs);
  timer.unref();
}
