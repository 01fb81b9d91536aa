import type { Message } from '@lmqtt/common/message';
import type { DelayedLine } from './delayed-store.ts';

export function delayedLine(id: number, dueAtMs: number, message: Message): DelayedLine {
  const { topic, qos, retain, payloadBytes, publisher } = message;
  return { id, topic, qos, retain, payloadBytes, clientId: publisher, dueAtMs };
}
