import type { SubscriptionOptions } from '@lmqtt/proto/session-state';

/** How messages of a subscription go out. */
export interface Terms {
  readonly options: SubscriptionOptions;
  /** The options' subscription identifier as the list that PUBLISH takes. */
  readonly identifiers: readonly number[] | undefined;
}

/** Terms that were replaced while messages stored before were still to be sent [MQTT-3.8.4-3]. */
export class FormerTerms {
  /** Ascending by the offset up to which they count. */
  readonly #list: { readonly terms: Terms; readonly end: number }[] = [];

  /** `terms` counted for messages below `end`. */
  push(terms: Terms, end: number): void {
    this.#list.push({ terms, end });
  }

  /**
   * Former terms of the message at the offset, asked for in the order of offsets; undefined: those
   * that count now, and for all later messages, too.
   */
  at(offset: number): Terms | undefined {
    const list = this.#list;
    while (list[0] !== undefined && list[0].end <= offset) list.shift();
    return list[0]?.terms;
  }
}
