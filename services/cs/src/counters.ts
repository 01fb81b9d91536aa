import type { Qos } from '@lmqtt/common/qos';

const types = [
  'connect',
  'connack',
  'publish',
  'puback',
  'pubrec',
  'pubrel',
  'pubcomp',
  'subscribe',
  'suback',
  'unsubscribe',
  'unsuback',
  'pingreq',
  'pingresp',
  'disconnect',
  'auth',
] as const;

export type PacketName = (typeof types)[number];

function zeros(): Record<PacketName, number> {
  return {
    connect: 0,
    connack: 0,
    publish: 0,
    puback: 0,
    pubrec: 0,
    pubrel: 0,
    pubcomp: 0,
    subscribe: 0,
    suback: 0,
    unsubscribe: 0,
    unsuback: 0,
    pingreq: 0,
    pingresp: 0,
    disconnect: 0,
    auth: 0,
  };
}

/** Figures of the hot path as plain numbers; the metrics read them when they are asked for. */
export class Counters {
  bytesReceived = 0;
  bytesSent = 0;
  malformed = 0;
  accepted = 0;
  connectionsMaximum = 0;
  /** QoS 1 messages that were sent again on the same connection. */
  retransmitted = 0;
  readonly receivedByQos: [number, number, number] = [0, 0, 0];
  readonly sentByQos: [number, number, number] = [0, 0, 0];
  readonly packetsReceived: Record<PacketName, number> = zeros();
  readonly packetsSent: Record<PacketName, number> = zeros();
  readonly packetBytesReceived: Record<PacketName, number> = zeros();
  readonly packetBytesSent: Record<PacketName, number> = zeros();
  /** Messages that were not delivered, by reason. */
  readonly dropped: Record<DropReason, number> = {
    expired: 0,
    too_large: 0,
    slow_client: 0,
    refused_by_client: 0,
    not_told: 0,
    lost: 0,
    not_authorized: 0,
  };

  publishReceived(qos: Qos, packetBytes: number): void {
    this.receivedByQos[qos] += 1;
    this.packetBytesReceived.publish += packetBytes;
  }

  publishSent(qos: Qos, packetBytes: number): void {
    this.sentByQos[qos] += 1;
    this.packetBytesSent.publish += packetBytes;
  }

  pubackReceived(packetBytes: number): void {
    this.packetsReceived.puback += 1;
    this.packetBytesReceived.puback += packetBytes;
  }

  pubackSent(packetBytes: number): void {
    this.packetsSent.puback += 1;
    this.packetBytesSent.puback += packetBytes;
  }

  received(type: PacketName, packetBytes: number): void {
    this.packetsReceived[type] += 1;
    this.packetBytesReceived[type] += packetBytes;
  }

  sent(type: PacketName, packetBytes: number): void {
    this.packetsSent[type] += 1;
    this.packetBytesSent[type] += packetBytes;
  }
}

export type DropReason =
  | 'expired'
  | 'too_large'
  | 'slow_client'
  | 'refused_by_client'
  | 'not_told'
  | 'lost'
  | 'not_authorized';
