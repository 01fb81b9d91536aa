import { queueId } from '@lmqtt/common/ids';
import { messageOf } from '@lmqtt/common/message';
import type { Message, QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';

/** A stored message with the places given as [queue, offset, previous]. */
export function stored(
  text: string,
  qos: Qos,
  places: readonly (readonly [number, number, number])[],
  topic = 't',
  publisher = '',
): Message {
  const message = messageOf({ topic, qos, retain: false, payload: Buffer.from(text), publisher });
  message.entries = places.map(([queue, offset, previous]): QueueEntry => ({
    queue: queueId(queue),
    partition: 0,
    offset,
    previous,
  }));
  return message;
}

/** The answer of a store to a read of these messages. */
export function readFrom(messages: readonly Message[], request: ReadRequest): ReadAnswer {
  const offsetOf = (message: Message): number =>
    message.entries.find((entry) => entry.queue === request.queue)?.offset ?? -1;
  const all = messages
    .filter((message) => offsetOf(message) >= request.from)
    .sort((a, b) => offsetOf(a) - offsetOf(b));
  const page = all.slice(0, request.messagesMax);
  const last = page.at(-1);
  const end = all.length === 0 ? request.from : offsetOf(all[all.length - 1]!) + 1;
  return { messages: page, next: last === undefined ? request.from : offsetOf(last) + 1, end };
}
