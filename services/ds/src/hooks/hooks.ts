// Functions of the operator's own that hear of clients and messages, and may change what becomes of
// them. All are optional; each may give a promise. Times, number and failures: hook-calls.ts.
import type { Qos } from '@lmqtt/common/qos';

/** A connected client, in the names that authenticate has for it. */
export interface HookClient {
  readonly clientid: string;
  /** Undefined for an anonymous client, whatever name it gave. */
  readonly username: string | undefined;
  readonly peerhost: string;
  /** 3, 4 or 5. */
  readonly proto_ver: number;
}

export interface HookConnect extends HookClient {
  readonly clean_start: boolean;
  readonly session_present: boolean;
}

export interface HookDisconnect extends HookClient {
  readonly reason: string;
}

export interface HookSubscribe extends HookClient {
  /** As the client sent it, with any `$share/{group}/`. */
  readonly filter: string;
  readonly qos: Qos;
}

/**
 * True or undefined: as asked for. False: refused with 0x87. 0, 1, 2: granted with that QoS at most.
 * 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1 or 0xA2: refused with it. 3.1.1 clients get 0x80.
 */
export type SubscribeVerdict = boolean | number | undefined | void;

/** The properties of MQTT 5.0 that go along with a message. */
export interface HookProperties {
  readonly payloadFormatIndicator?: 0 | 1 | undefined;
  readonly contentType?: string | undefined;
  readonly responseTopic?: string | undefined;
  readonly correlationData?: Uint8Array | undefined;
  readonly userProperties?: readonly { readonly key: string; readonly value: string }[];
}

export interface HookPublish extends HookClient {
  readonly topic: string;
  /** Not to be written to. */
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Read when they are asked for. */
  readonly properties: HookProperties;
  /** The message is a will, judged when its client connects. */
  readonly will: boolean;
}

/** Parts of a message that are others from now on. Properties: all of them, or null for none. */
export interface ChangedMessage {
  readonly topic?: string;
  readonly payload?: string | Uint8Array;
  readonly properties?: HookProperties | null;
}

/**
 * True or undefined: as it is. False: refused with 0x87. 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99:
 * refused with it. Before 5.0 a refusal closes the connection, as one by rules does.
 */
export type PublishVerdict = boolean | number | ChangedMessage | undefined | void;

export interface HookDeliveries {
  /** PUBLISH packets that clients were sent since the call before. */
  readonly messages: number;
}

export interface Hooks {
  /** A client has connected. It does not wait for the hook, which refuses nobody. */
  readonly onConnect?: (client: HookConnect) => unknown;
  readonly onDisconnect?: (client: HookDisconnect) => unknown;
  /** For each filter that the rules allow. */
  readonly onSubscribe?: (asked: HookSubscribe) => SubscribeVerdict | Promise<SubscribeVerdict>;
  /** For each message that the rules allow, before it goes anywhere. */
  readonly onPublish?: (message: HookPublish) => PublishVerdict | Promise<PublishVerdict>;
  /** Each second in which something was delivered. */
  readonly onDeliver?: (counts: HookDeliveries) => unknown;
}

export type HookName = keyof Hooks;

export const hookNames: readonly HookName[] = [
  'onConnect',
  'onDisconnect',
  'onSubscribe',
  'onPublish',
  'onDeliver',
];
