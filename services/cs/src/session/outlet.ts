import type { Message } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';

/** The outlet of a session: the connection that carries it, without its bytes. */
export interface Outlet {
  /** The write buffer has room. Past its bound QoS 0 is dropped and the rest waits. */
  readonly writable: boolean;
  /**
   * Sends a PUBLISH. False where it would be larger than the client takes: nothing was sent
   * [MQTT-3.1.2-24].
   */
  sendPublish(
    message: Message,
    qos: Qos,
    dup: boolean,
    retain: boolean,
    packetId: number,
    subscriptionIdentifiers: readonly number[] | undefined,
  ): boolean;
  sendPubrel(packetId: number): void;
}
