// Messages of back ends that were lately left alone: a bounded number of lines, one for each reason
// and RocketMQ topic, with how often and the last of them.

/** A message that reaches no device, or not all: where it is, and what it said. */
export interface LeftAlone {
  readonly broker: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** UNIQ_KEY. */
  readonly key: string;
  /** '': none. */
  readonly tag: string;
  /** '': none that can be said. */
  readonly mqttTopic: string;
  /** By the broker's clock, ms since 1970. */
  readonly storedMs: number;
}

export interface LeftAloneLine {
  readonly reason: string;
  readonly rocketTopic: string;
  /** Messages since the line was taken last. */
  count: number;
  /** undefined: not known. */
  last: LeftAlone | undefined;
}

const linesMax = 1000;

export class LeftAloneLines {
  #lines = new Map<string, LeftAloneLine>();

  note(reason: string, rocketTopic: string, count: number, last: LeftAlone | undefined): void {
    const name = `${reason} ${rocketTopic}`;
    const line = this.#lines.get(name);
    if (line === undefined) {
      if (this.#lines.size < linesMax) this.#lines.set(name, { reason, rocketTopic, count, last });
      return;
    }
    line.count += count;
    line.last = last ?? line.last;
  }

  /** Lines that are new since this was called last. */
  take(): LeftAloneLine[] {
    const lines = [...this.#lines.values()];
    this.#lines = new Map();
    return lines;
  }
}
