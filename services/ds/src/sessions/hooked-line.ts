import type { Publish } from '@lmqtt/proto/link';

/** A publish whose hook has been called or is to be. */
export interface HookedPublish {
  readonly publish: Publish;
  /** The publish as it goes on, or the reason code of its refusal; undefined: not known yet. */
  said: Publish | number | undefined;
  /** Bytes that count as waiting. */
  readonly bytes: number;
}

/** Publishes of one session that wait for hooks, in their order, and what is known of its topic. */
export class HookedLine {
  /** The last topic, and whether the hook is asked about messages to it. */
  topic = '';
  accessVersion = -1;
  isAsked = false;
  /** Subscribing and unsubscribing, one after the other. */
  requests: Promise<unknown> = Promise.resolve();
  bytes = 0;
  readonly #entries: HookedPublish[] = [];
  #draining = false;
  #drained: (() => void)[] | undefined = undefined;

  /** Whether what comes now has to wait behind others. */
  get waits(): boolean {
    return this.#entries.length > 0 || this.#draining;
  }

  get first(): HookedPublish | undefined {
    return this.#entries[0];
  }

  add(entry: HookedPublish): void {
    this.#entries.push(entry);
    this.bytes += entry.bytes;
  }

  /** Publishes that have their answers, up to the first that has not. */
  take(): HookedPublish[] {
    let count = 0;
    for (const { said } of this.#entries) {
      if (said === undefined) break;
      count += 1;
    }
    const taken = this.#entries.splice(0, count);
    for (const { bytes } of taken) this.bytes -= bytes;
    this.#draining = true;
    return taken;
  }

  /** Called when the publishes that were taken have gone on. */
  drained(): void {
    this.#draining = false;
    if (this.#entries.length > 0) return;
    for (const resolve of this.#drained?.splice(0) ?? []) resolve();
  }

  /** Resolves when nothing waits; undefined: nothing does. */
  settled(): Promise<void> | undefined {
    if (!this.waits) return undefined;
    return new Promise((resolve) => (this.#drained ??= []).push(resolve));
  }
}
