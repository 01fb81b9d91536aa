export interface QueuePlace {
  readonly topic: string;
  /** 0 for a light queue. */
  readonly queueId: number;
}

export function placeFields(place: QueuePlace): { topic: string; queueId: string } {
  return { topic: place.topic, queueId: String(place.queueId) };
}
