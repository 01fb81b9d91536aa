import type { ClientId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import { findProperty } from './property-scan.ts';
import { rocket } from './property-names.ts';

export const noOffsets: readonly number[] = [];

/** A message as it was read from RocketMQ, with where it is there. */
export class StoredMessage {
  /** Topic of the message itself, not an LMQ's, whichever it was read through. */
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** In the broker's commit log. */
  readonly physicalOffset: number;
  readonly bornMs: number;
  readonly storedMs: number;
  readonly lmqNames: readonly string[];
  /** In the order of the names; empty where the broker has not indexed it. */
  readonly lmqOffsets: readonly number[];
  readonly message: Message;
  /**
   * Set: it was sent a second time. Then the first, if it is stored after all, is in the same
   * ordinary queue, at this offset or a higher one; −1: it was sent once.
   */
  readonly againFrom: number;
  /** Set: a back end has sent it to this client alone. */
  client: ClientId | undefined = undefined;
  /** The topic is one that a rule has made. */
  isByTemplate = false;
  /** A property of a back end has a value that it cannot have. */
  isUnfit = false;
  readonly #buffer: Buffer;
  readonly #propertiesStart: number;
  readonly #propertiesEnd: number;

  constructor(
    place: {
      readonly queueId: number;
      readonly queueOffset: number;
      readonly physicalOffset: number;
      readonly bornMs: number;
      readonly storedMs: number;
      readonly propertiesStart: number;
      readonly propertiesEnd: number;
    },
    topic: string,
    lmqNames: readonly string[],
    lmqOffsets: readonly number[],
    message: Message,
    buffer: Buffer,
    againFrom = -1,
  ) {
    this.againFrom = againFrom;
    this.topic = topic;
    this.queueId = place.queueId;
    this.queueOffset = place.queueOffset;
    this.physicalOffset = place.physicalOffset;
    this.bornMs = place.bornMs;
    this.storedMs = place.storedMs;
    this.lmqNames = lmqNames;
    this.lmqOffsets = lmqOffsets;
    this.message = message;
    this.#buffer = buffer;
    this.#propertiesStart = place.propertiesStart;
    this.#propertiesEnd = place.propertiesEnd;
  }

  /** Any property, decoded when it is asked for: not for every message. */
  property(name: string): string | undefined {
    return findProperty(this.#buffer, this.#propertiesStart, this.#propertiesEnd, name);
  }

  /** UNIQ_KEY. */
  get key(): string | undefined {
    return this.property(rocket.key);
  }

  get tag(): string | undefined {
    return this.property(rocket.tags);
  }
}
