/** Aliases that the client set, 1 to the maximum that CONNACK told it (3.3.2.3.4). */
export class InboundAliases {
  #topics: (string | undefined)[] = [];

  set(alias: number, topic: string): void {
    this.#topics[alias] = topic;
  }

  get(alias: number): string | undefined {
    return this.#topics[alias];
  }
}

/** Aliases that we set towards the client: for the first topics, up to its maximum. */
export class OutboundAliases {
  readonly #maximum: number;
  readonly #aliases: Map<string, number> = new Map();
  /** The alias was set by this very call: the topic goes along once. */
  fresh = false;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** 0: none for this topic. */
  of(topic: string): number {
    this.fresh = false;
    const present = this.#aliases.get(topic);
    if (present !== undefined) return present;
    if (this.#aliases.size >= this.#maximum) return 0;
    const alias = this.#aliases.size + 1;
    this.#aliases.set(topic, alias);
    this.fresh = true;
    return alias;
  }

  /** The packet that would have set it did not leave. */
  undo(topic: string): void {
    this.#aliases.delete(topic);
  }
}
