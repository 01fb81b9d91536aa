import type { SessionHandle } from '@lmqtt/common/ids';
import type { Connecting } from './connecting.ts';
import type { LiveSession } from './live-session.ts';
import { Outlet } from '../routing/outlet.ts';

/** A connection node that is attached, and its sessions. */
export class CsNode extends Outlet {
  readonly sessions: Map<SessionHandle, LiveSession> = new Map();
  /** Connections whose CONNECT is not answered yet. */
  readonly connecting: Map<SessionHandle, Connecting> = new Map();
  /** Set when the node's lease was judged, or it left: nothing that comes from it counts. */
  over = false;
}
