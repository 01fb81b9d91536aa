import type { Counters } from '@lmqtt/cs/counters';

function sum(counts: readonly number[]): number {
  return counts.reduce((all, count) => all + count, 0);
}

/** Figures of connections by the names that people know below `$SYS/broker/`. */
export function sysCounters(counters: Counters): Record<string, number> {
  const publishesReceived = sum(counters.receivedByQos);
  const publishesSent = sum(counters.sentByQos);
  return {
    'bytes/received': counters.bytesReceived,
    'bytes/sent': counters.bytesSent,
    'messages/received': publishesReceived + sum(Object.values(counters.packetsReceived)),
    'messages/sent': publishesSent + sum(Object.values(counters.packetsSent)),
    'publish/messages/received': publishesReceived,
    'publish/messages/sent': publishesSent,
    'publish/messages/dropped': sum(Object.values(counters.dropped)),
  };
}
