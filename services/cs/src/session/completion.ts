import type { OutboundSession } from './outbound-session.ts';
import { tellReceipt } from './receipts.ts';
import type { Inflight } from './window.ts';

/** The message is done with: its identifier is free and its positions may move. */
export function complete(session: OutboundSession, inflight: Inflight, failed: boolean): void {
  const { packetId, shadows, origin } = inflight;
  const { node } = session;
  session.window.remove(packetId);
  // Before the record that the message is done with.
  if (session.receipts !== undefined)
    tellReceipt(session, packetId, failed ? 'refused' : 'acknowledged');
  inflight.done = true;
  if (session.persistent || inflight.place?.kind === 'group') {
    node.journal.write({ kind: 'done', session: session.handle, packetId, failed });
  }
  if (failed) node.events.refusedByClient();
  origin?.completed(inflight);
  if (shadows !== undefined) {
    for (const shadow of shadows) shadow.origin.completed(shadow.outstanding);
  }
  session.completed();
}
