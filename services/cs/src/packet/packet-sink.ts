import type { Auth } from './auth.ts';
import type { Connect } from './connect.ts';
import type { Disconnect } from './disconnect.ts';
import type { IncomingPublish } from './publish.ts';
import type { Subscribe } from './subscribe.ts';
import type { Unsubscribe } from './unsubscribe.ts';

/** Settings of how large packets may be. */
export type SizeLimit = 'MAX_PACKET_SIZE' | 'MAX_CONNECT_SIZE' | 'MAX_SUBSCRIBE_SIZE';

/**
 * Takes the packets of one client in their order. The first is always `connect`, which never comes
 * again; every packet is legal by itself (what needs the session or a setting is checked here).
 */
export interface PacketSink {
  connect(packet: Connect): void;
  /** The object is used again after the call. */
  publish(packet: IncomingPublish): void;
  puback(packetId: number, reasonCode: number): void;
  pubrec(packetId: number, reasonCode: number): void;
  pubrel(packetId: number, reasonCode: number): void;
  pubcomp(packetId: number, reasonCode: number): void;
  subscribe(packet: Subscribe): void;
  unsubscribe(packet: Unsubscribe): void;
  pingreq(): void;
  disconnect(packet: Disconnect): void;
  auth(packet: Auth): void;
  /**
   * Bytes that are no packet, or a packet that must not come: called once, nothing follows. The
   * reason code is for a CONNACK or DISCONNECT in 5.0; the reason is short and for logs and reason
   * strings. `limit`: the setting that it is too large for.
   */
  malformed(reasonCode: number, reason: string, limit?: SizeLimit): void;
}
