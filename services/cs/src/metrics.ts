import type { Metrics } from '@lmqtt/common/metrics';
import type { Counters } from './counters.ts';
import type { ListenerPlace } from './listener-place.ts';
import type { ConnectionNode } from './node.ts';

export function registerListenerMetrics(metrics: Metrics, places: readonly ListenerPlace[]): void {
  metrics.gauges(
    'lmqtt_listener_connections',
    'Connections that have a session, by listener',
    'listener',
    () => places.map(({ name, open }) => [name, open]),
  );
}

/** The figures of a connection node, as Prometheus sees them. */
export function registerMetrics(metrics: Metrics, counters: Counters, node: ConnectionNode): void {
  const byQos = (counts: readonly number[]) => () =>
    counts.map((count, qos) => [String(qos), count] as const);
  const packets = (counts: Record<string, number>, publishes: readonly number[]) => () =>
    Object.entries({ ...counts, publish: publishes.reduce((sum, count) => sum + count, 0) });
  const record = (counts: Record<string, number>) => () => Object.entries(counts);
  metrics.gauge(
    'lmqtt_connections',
    'Connections with a session',
    () => node.connections.sessionCount,
  );
  metrics.gauge('lmqtt_cs_draining', '1 while this node sends its clients away', () =>
    node.drain.cause === undefined ? 0 : 1,
  );
  metrics.counterOf(
    'lmqtt_connections_accepted_total',
    'Connections accepted',
    () => counters.accepted,
  );
  metrics.gauges(
    'lmqtt_connections_pending',
    'Connections that have no CONNACK yet, by what they wait for',
    'state',
    () => {
      const { pending } = node.connections;
      const { waitingCount, atWorkCount } = node.entrance;
      return [
        ['silent', pending.count - pending.askingCount],
        ['waiting', waitingCount],
        ['at_ds', atWorkCount],
      ];
    },
  );
  metrics.gauge(
    'lmqtt_publishers_held',
    'Clients that are not read, because their publishes are past a rate',
    () => node.publishRates.heldCount,
  );
  metrics.gauge('lmqtt_inflight', 'Messages in flight to clients', () =>
    node.connections.inflightCount(),
  );
  metrics.counterOf(
    'lmqtt_bytes_received_total',
    'Bytes from clients',
    () => counters.bytesReceived,
  );
  metrics.gauge(
    'lmqtt_cs_acl_cached',
    'Answers of the access rules kept in memory',
    () => node.rightsTable.answers.count,
  );
  metrics.counterOf('lmqtt_bytes_sent_total', 'Bytes to clients', () => counters.bytesSent);
  metrics.counterOf(
    'lmqtt_retransmissions_total',
    'QoS 1 messages that were sent again, since they were not acknowledged in time',
    () => counters.retransmitted,
  );
  metrics.counterOf(
    'lmqtt_malformed_total',
    'Packets that broke the protocol; their connections were closed',
    () => counters.malformed,
  );
  metrics.countersOf(
    'lmqtt_publishes_received_total',
    'PUBLISH packets from clients, by QoS',
    'qos',
    byQos(counters.receivedByQos),
  );
  metrics.countersOf(
    'lmqtt_deliveries_total',
    'PUBLISH packets to clients, by QoS',
    'qos',
    byQos(counters.sentByQos),
  );
  metrics.countersOf(
    'lmqtt_packets_received_total',
    'Packets from clients, by type',
    'type',
    packets(counters.packetsReceived, counters.receivedByQos),
  );
  metrics.countersOf(
    'lmqtt_packets_sent_total',
    'Packets to clients, by type',
    'type',
    packets(counters.packetsSent, counters.sentByQos),
  );
  metrics.countersOf(
    'lmqtt_received_bytes_total',
    'Bytes of packets from clients, by type',
    'type',
    record(counters.packetBytesReceived),
  );
  metrics.countersOf(
    'lmqtt_sent_bytes_total',
    'Bytes of packets to clients, by type',
    'type',
    record(counters.packetBytesSent),
  );
  metrics.countersOf(
    'lmqtt_dropped_total',
    'Messages not delivered, by reason',
    'reason',
    record(counters.dropped),
  );
  metrics.gauges(
    'lmqtt_ring',
    'Recent messages kept in memory for sessions: number of queues, of messages and of bytes',
    'what',
    () => node.feeds.figures(),
  );
}
