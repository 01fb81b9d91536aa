import type { Qos } from '@lmqtt/common/qos';
import type { ProtocolVersion } from './packet-type.ts';

/** CONNECT, section 3.1. Its buffers are copies: they may be kept. */
export interface Connect {
  readonly protocolVersion: ProtocolVersion;
  /** The protocol level says that the client is a bridge; 3.1 and 3.1.1 only. */
  readonly isBridge: boolean;
  /** Empty: the connection decides by version and clean start. */
  readonly clientId: string;
  /** Clean Session before 5.0. */
  readonly cleanStart: boolean;
  /** Seconds; 0: none. */
  readonly keepAliveS: number;
  readonly will: ConnectWill | undefined;
  readonly userName: string | undefined;
  readonly password: Buffer | undefined;
  /** Seconds, 0xffffffff: never; undefined: not in the packet. 5.0 only, as all that follows. */
  readonly sessionExpiryS: number | undefined;
  /** 65,535 where absent. */
  readonly receiveMaximum: number;
  /** Bytes of a whole packet; undefined: no limit. */
  readonly maximumPacketSize: number | undefined;
  /** 0 where absent: no alias may be sent to this client. */
  readonly topicAliasMaximum: number;
  readonly requestResponseInformation: boolean;
  /** true where absent: reason strings and user properties may be sent with any packet. */
  readonly requestProblemInformation: boolean;
  readonly authenticationMethod: string | undefined;
  readonly authenticationData: Buffer | undefined;
}

/** Topic without wildcards and not empty. */
export interface ConnectWill {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Seconds; 0: at once. */
  readonly delayS: number;
  /** Seconds; undefined: never. */
  readonly messageExpiryS: number | undefined;
  /** 1: the payload says it is UTF-8. */
  readonly payloadFormatIndicator: 0 | 1;
  /** The properties that are forwarded, as encoded; see `Message.properties`. */
  readonly properties: Buffer | undefined;
}
