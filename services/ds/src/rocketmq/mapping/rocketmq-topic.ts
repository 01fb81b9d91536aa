// Which names a RocketMQ topic that carries MQTT may have.

const legal = /^[%|A-Za-z0-9_-]{1,127}$/;
/**
 * Beginnings of the names of queues and groups; a plain leading "%" is kept for the system as well.
 */
const reservedParts = ['%LMQ%', '%RETRY%', '%DLQ%'];
const systemPrefix = /^(%|rmq_sys_)/i;
const systemTopics = new Set([
  'TBW102',
  'SCHEDULE_TOPIC_XXXX',
  'BenchmarkTest',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRACE_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'CHECKPOINT_TOPIC',
]);

export function isTopicForMessages(name: string): boolean {
  if (!legal.test(name) || systemPrefix.test(name) || systemTopics.has(name)) return false;
  if (name.endsWith('_REPLY_TOPIC')) return false;
  return !reservedParts.some((part) => name.includes(part));
}
