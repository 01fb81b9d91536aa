// Detours as places: an MQTT topic that is published for the first time while the broker of its place
// is away goes to another broker, and stays there as long as that has the queue. No ds sends a topic
// anywhere before it has claimed it, so that all send it to the same place.
import type { Place } from '../../rocketmq/mapping/place.ts';
import type { Detours } from '../../registry/detours.ts';

export class Detouring {
  readonly #detours: Detours | undefined;

  constructor(detours: Detours | undefined) {
    this.#detours = detours;
  }

  /** Whether the topic may be sent. */
  isClaimed(mqttTopic: string): boolean {
    return this.#detours?.isClaimed(mqttTopic) !== false;
  }

  of(mqttTopic: string): Place | undefined {
    const text = this.#detours?.of(mqttTopic);
    if (text === undefined) return undefined;
    const at = text.indexOf(' ');
    return { queueId: Number(text.slice(0, at)), broker: text.slice(at + 1) };
  }

  /** `detourOf`: where the topic would go; undefined: to its own place. */
  async claim(
    mqttTopics: readonly string[],
    detourOf: (mqttTopic: string) => Place | undefined,
  ): Promise<void> {
    if (this.#detours === undefined) return;
    const unclaimed = new Set(mqttTopics.filter((each) => !this.isClaimed(each)));
    if (unclaimed.size === 0) return;
    await this.#detours.claim(
      [...unclaimed].map((topic) => {
        const place = detourOf(topic);
        return { topic, detour: place === undefined ? '' : `${place.queueId} ${place.broker}` };
      }),
    );
  }
}
