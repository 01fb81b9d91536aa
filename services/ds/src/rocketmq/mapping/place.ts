/** An ordinary queue of a RocketMQ topic. */
export interface Place {
  readonly broker: string;
  readonly queueId: number;
}

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** FNV-1a over UTF-16 units. */
function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), fnvPrime);
  }
  return hash;
}

/** Each bit of the result depends on every bit: FNV's high bits alone would favour some brokers. */
function mixed(value: number): number {
  let bits = value ^ (value >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * The place of an MQTT topic: rendezvous hashing, so the order of `places` does not matter, and a
 * place that comes or goes moves only the topics that it wins or had. All nodes of all versions
 * must come to the same result. undefined: there are no places.
 */
export function pickPlace<P extends Place>(topic: string, places: readonly P[]): P | undefined {
  const topicHash = mixed(hashOf(topic, fnvOffset));
  let best: P | undefined;
  let bestWeight = -1;
  for (const place of places) {
    const placeHash = hashOf(place.broker, fnvOffset ^ Math.imul(place.queueId + 1, fnvPrime));
    const weight = mixed(Math.imul(topicHash, 0x9e3779b1) ^ mixed(placeHash));
    if (
      weight > bestWeight ||
      (weight === bestWeight && best !== undefined && before(place, best))
    ) {
      best = place;
      bestWeight = weight;
    }
  }
  return best;
}

function before(one: Place, other: Place): boolean {
  if (one.broker !== other.broker) return one.broker < other.broker;
  return one.queueId < other.queueId;
}
