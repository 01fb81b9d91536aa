import type { Message, OrderKey } from '@lmqtt/common/message';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { RedisConnection } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/failure.ts';
import { loadScript } from '../../redis/script.ts';
import { encodeRecord, readOrderKey } from './record.ts';
import { goneKeptMs, pinnedKeptMs, replacedKeptMs, type RetainedKeys } from './keys.ts';

export interface RetainedLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

interface Put {
  readonly message: Message;
  readonly record: Buffer;
  /** Had no order key: counts whatever is there. */
  readonly counts: boolean;
  readonly done: ((reasonCode: number) => void) | undefined;
}

interface PutListener {
  beforeSend(): void;
  figures(count: number, bytes: number): void;
  /** This is the topic's now, or was a moment ago. */
  counts(message: Message): void;
}

const script = loadScript(import.meta.dirname, 'put');
/** A call's share: so long a script holds up all others. */
const putsAtOnce = 256;
const bytesAtOnce = 1024 * 1024;
/** Maximum bytes of records that wait for their answers. */
const waitingBytesMax = 64 * 1024 * 1024;

/** Puts: those of one turn of the event loop go out together, at its end. */
export class RetainedPuts {
  readonly #connection: RedisConnection;
  readonly #keys: string[];
  readonly #limits: RetainedLimits;
  readonly #listener: PutListener;
  #puts: Put[] = [];
  readonly #sending: OnceATurn = new OnceATurn(() => this.#send());
  #waitingBytes = 0;
  #last: OrderKey = { placement: 0, offset: 0 };

  constructor(
    connection: RedisConnection,
    keys: RetainedKeys,
    limits: RetainedLimits,
    listener: PutListener,
  ) {
    const { records, topics, gone, expiring, replaced, kept, pins, figures } = keys;
    this.#connection = connection;
    this.#keys = [records, topics, gone, expiring, replaced, kept, pins, figures];
    this.#limits = limits;
    this.#listener = listener;
  }

  put(message: Message, orderKey: OrderKey | undefined, done?: (reasonCode: number) => void): void {
    const key = orderKey ?? this.#nextKey();
    message.orderKey ??= key;
    const record = encodeRecord(message, key);
    if (this.#waitingBytes + record.length > waitingBytesMax) {
      if (done !== undefined) setImmediate(done, ReasonCode.quotaExceeded);
      return;
    }
    this.#waitingBytes += record.length;
    this.#puts.push({ message, record, counts: orderKey === undefined, done });
    // Without a key it is seen at once: by whatever is sent behind it.
    if (orderKey === undefined) {
      this.#send();
      return;
    }
    this.#sending.soon();
  }

  /** Greater than all that this node has seen; the script makes it greater than the topic's. */
  #nextKey(): OrderKey {
    const { placement, offset } = this.#last;
    const nowMs = Math.floor(this.#connection.timeMs());
    this.#last = { placement, offset: Math.max(offset + 1, nowMs) };
    return this.#last;
  }

  #send(): void {
    if (this.#puts.length === 0) return;
    this.#listener.beforeSend();
    const puts = this.#puts;
    this.#puts = [];
    let batch: Put[] = [];
    let bytes = 0;
    for (const put of puts) {
      if (batch.length === putsAtOnce || (batch.length > 0 && bytes >= bytesAtOnce)) {
        void this.#sendBatch(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(put);
      bytes += put.record.length;
    }
    void this.#sendBatch(batch);
  }

  async #sendBatch(puts: readonly Put[]): Promise<void> {
    let answers: number[];
    try {
      answers = await this.#call(puts);
    } catch (error) {
      const { implementationSpecificError } = ReasonCode;
      answers = puts.map(() =>
        error instanceof RedisUnavailable ? error.reasonCode : implementationSpecificError,
      );
    }
    // In a turn of its own: whoever asked before the put has his answer before it is done.
    setImmediate(() => {
      for (const [index, put] of puts.entries()) {
        this.#waitingBytes -= put.record.length;
        put.done?.(answers[index]!);
      }
    });
  }

  /** Reason codes. */
  async #call(puts: readonly Put[]): Promise<number[]> {
    const { messagesMax, bytesMax } = this.#limits;
    const args: (string | number | Buffer)[] = [
      ...[messagesMax, bytesMax, replacedKeptMs, pinnedKeptMs, goneKeptMs],
    ];
    for (const put of puts) args.push(put.message.topic, put.record, put.counts ? 1 : 0);
    const reply = await this.#durably(
      args,
      puts.every(({ counts }) => !counts),
    );
    const [count, bytes, ...answers] = reply;
    this.#listener.figures(Number(count), Number(bytes));
    return answers.map((answer, index) => {
      if (answer === 1) return ReasonCode.quotaExceeded;
      const { message } = puts[index]!;
      if (Buffer.isBuffer(answer)) {
        message.orderKey = readOrderKey(answer);
        if (isGreater(message.orderKey, this.#last)) this.#last = message.orderKey;
      }
      this.#listener.counts(message);
      return 0;
    });
  }

  /** A put that has an order key may be sent again: the second time it is not newer. */
  async #durably(args: (string | number | Buffer)[], again: boolean): Promise<unknown[]> {
    try {
      return await this.#once(args);
    } catch (error) {
      const isOpen = error instanceof RedisUnavailable && error.outcome === 'unknown';
      if (!again || !isOpen) throw error;
      return this.#once(args);
    }
  }

  async #once(args: (string | number | Buffer)[]): Promise<unknown[]> {
    const [reply] = await Promise.all([
      this.#connection.callBuffer(script, this.#keys, args),
      this.#connection.durableBarrier(this.#keys[0]),
    ]);
    return Array.isArray(reply) ? reply : [];
  }
}

function isGreater(a: OrderKey, b: OrderKey): boolean {
  return a.placement === b.placement ? a.offset > b.offset : a.placement > b.placement;
}
