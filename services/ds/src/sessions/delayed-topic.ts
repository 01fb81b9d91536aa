/** A topic `$delayed/{seconds}/{topic}`, taken apart. */
export interface DelayedTopic {
  readonly delayMs: number;
  readonly topic: string;
}
