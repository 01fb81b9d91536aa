import { ReasonCode } from '@lmqtt/common/reason-code';
import { TextCache } from '@lmqtt/common/text-cache';
import { refused } from './malformed-packet.ts';
import { decodeString } from './utf8.ts';

const plus = 0x2b;
const hash = 0x23;

/** Topic names of PUBLISH, not empty; throws where one is not legal. */
export const topicNames: TextCache = new TextCache((buffer, start, end) => {
  const name = decodeString(buffer, start, end, 'topic name');
  for (let at = start; at < end; at += 1) {
    const byte = buffer[at];
    // [MQTT-3.3.2-2]
    if (byte === plus || byte === hash) {
      refused(ReasonCode.topicNameInvalid, 'topic name: has a wildcard');
    }
  }
  return name;
});
