import { randomUUID } from 'node:crypto';
import type { ClientId, Epoch } from '@lmqtt/common/ids';
import { pause } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Intents } from '../../queue-store/intents.ts';
import { decodeMessage, encodeMessage } from '../../queue-store/single-message.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import { RedisUnavailable } from '../../redis/failure.ts';
import type { Reply } from '../../redis/in-flight.ts';
import type { RedisKeys } from '../../redis/keys.ts';
import { loadScript, type Script } from '../../redis/script.ts';
import { delayedLine } from '../delayed-line.ts';
import type {
  DelayedInbound,
  DelayedLimits,
  DelayedLine,
  DelayedPlace,
  DelayedPut,
  DelayedStore,
  DueMessage,
} from '../delayed-store.ts';

const load = (name: string): Script => loadScript(import.meta.dirname, name);
const scripts = {
  put: load('put'),
  take: load('take'),
  remove: load('remove'),
  page: load('page'),
};

const overheadBytes = 256;
const idDigits = 16;
const fieldsOfDue = 5;
const fieldsOfLine = 3;
/** For so long a publish that is sent again is known by its session and packet identifier. */
const inboundKnownMs = 86_400_000;
const retryMs = 200;

interface RedisDelayedStoreOptions {
  readonly redis: RedisConnection;
  readonly keys: RedisKeys;
  readonly intents: Intents;
  readonly limits: DelayedLimits;
  /** For so long nobody else takes what is due, where the taker is not heard; longer than its lease. */
  readonly takenMs: number;
}

/**
 * Messages in Redis, under one hash tag: a sorted set of due times, and a hash of records. A QoS 2
 * publish is put first, then its packet identifier is stored with its session; between the two it
 * is known by a key of its own, which goes when the identifier is stored.
 */
export class RedisDelayedStore implements DelayedStore {
  readonly #options: RedisDelayedStoreOptions;
  readonly #taker = randomUUID();
  readonly #due: string;
  readonly #records: string;
  readonly #figures: string;
  readonly #sending: string;
  readonly #takerKey: string;
  #count = 0;
  #bytes = 0;
  /** Taken, and neither sent nor failed. */
  readonly #out = new Set<number>();
  #keeping: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RedisDelayedStoreOptions) {
    this.#options = options;
    const { keys } = options;
    this.#due = keys.delayed('due');
    this.#records = keys.delayed('records');
    this.#figures = keys.delayed('figures');
    this.#sending = keys.delayed('sending');
    this.#takerKey = keys.delayed('taker');
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  put(batch: readonly DelayedPut[], done: () => void): void {
    void this.#putAll(batch, done);
  }

  async takeDue(messagesMax: number): Promise<DueMessage[]> {
    const { redis, takenMs } = this.#options;
    const reply = await redis.callBuffer(
      scripts.take,
      [this.#due, this.#records, this.#sending, this.#takerKey],
      [this.#taker, takenMs, messagesMax, `${randomUUID()}-`, ...[...this.#out].map(memberOf)],
    );
    await redis.durableBarrier(this.#takerKey);
    const due: DueMessage[] = [];
    const fields = listOf(reply);
    for (let at = 0; at < fields.length; at += fieldsOfDue) {
      due.push({
        id: Number(fields[at]),
        message: decodeMessage(bufferOf(fields[at + 1])),
        sending: {
          key: String(fields[at + 2]),
          sinceMs: Number(fields[at + 3]),
          again: Number(fields[at + 4]) === 1,
        },
      });
    }
    for (const { id } of due) this.#out.add(id);
    if (this.#out.size > 0) this.#keeping ??= setInterval(() => this.#keep(), takenMs / 3).unref();
    return due;
  }

  sending(_due: DueMessage): void {
    // The message goes to another store: it is looked for there by its key.
  }

  async sent(due: DueMessage): Promise<void> {
    for (;;) {
      try {
        await this.#remove(due.id, 'sent');
        break;
      } catch {
        if (this.#closed) break;
        await pause(retryMs);
      }
    }
    this.#ended(due);
  }

  failed(due: DueMessage): void {
    this.#ended(due);
  }

  identified(clientId: ClientId, madeEpoch: Epoch, packetIds: Iterable<number>): void {
    const { redis, keys } = this.#options;
    for (const packetId of packetIds) {
      const key = keys.delayed(`in:${packetId} ${madeEpoch} ${clientId}`);
      redis.command('DEL', key).catch(() => undefined);
    }
  }

  async cancel(id: number): Promise<boolean> {
    return (await this.#remove(id, 'cancel')) === 1;
  }

  async page(after: DelayedPlace | undefined, linesMax: number): Promise<DelayedLine[]> {
    const reply = await this.#options.redis.callBuffer(
      scripts.page,
      [this.#due, this.#records],
      [after?.dueAtMs ?? '-inf', after === undefined ? '' : memberOf(after.id), linesMax],
    );
    const lines: DelayedLine[] = [];
    const fields = listOf(reply);
    for (let at = 0; at < fields.length; at += fieldsOfLine) {
      const message = decodeMessage(bufferOf(fields[at + 2]));
      lines.push(delayedLine(Number(fields[at]), Number(fields[at + 1]), message));
    }
    return lines;
  }

  /** Reads the figures again: other ds change them, too. */
  async refresh(): Promise<void> {
    const { redis } = this.#options;
    this.#count = Number(await redis.command('ZCARD', this.#due));
    this.#bytes = Number((await redis.command('HGET', this.#figures, 'bytes')) ?? 0);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#keeping);
  }

  async #putAll(batch: readonly DelayedPut[], done: () => void): Promise<void> {
    // The calls leave in this turn, in the order of the batch.
    await Promise.all(batch.map((put) => this.#put(put)));
    done();
  }

  async #put(put: DelayedPut): Promise<void> {
    const { message, inbound, afterMs, dueAtMs } = put;
    const { redis, limits } = this.#options;
    const record = encodeMessage(message);
    const due = afterMs === undefined ? dueAtMs : -afterMs - 1;
    const inboundKey = this.#inboundKey(inbound);
    const keys = [this.#due, this.#records, this.#figures, inboundKey];
    const args = [due, record, record.length + overheadBytes, limits.messagesMax, limits.bytesMax];
    const session = inbound === undefined ? '' : 'put';
    try {
      const [reply] = await Promise.all([
        redis.call(scripts.put, keys, [...args, session, inboundKnownMs]),
        redis.durableBarrier(this.#due),
      ]);
      const [answer, count, bytes] = listOf(reply).map(Number);
      this.#count = count ?? 0;
      this.#bytes = bytes ?? 0;
      put.reasonCode = answer === 0 ? 0 : ReasonCode.quotaExceeded;
      if (answer === 1) put.limit = 'MAX_DELAYED_MESSAGES';
      else if (answer === 2) put.limit = 'MAX_DELAYED_BYTES';
    } catch (error) {
      const { implementationSpecificError } = ReasonCode;
      put.reasonCode =
        error instanceof RedisUnavailable ? error.reasonCode : implementationSpecificError;
    }
    if (put.reasonCode !== 0 || inbound === undefined) return;
    await new Promise<void>((resolve) => {
      this.#options.intents.stored([inbound], resolve);
    });
    await redis.command('DEL', inboundKey).catch(() => undefined);
  }

  #inboundKey(inbound: DelayedInbound | undefined): string {
    const { keys } = this.#options;
    if (inbound === undefined) return keys.delayed('in');
    const { clientId, packetId, madeEpoch } = inbound;
    return keys.delayed(`in:${packetId} ${madeEpoch} ${clientId}`);
  }

  async #remove(id: number, what: 'sent' | 'cancel'): Promise<number> {
    const keys = [this.#due, this.#records, this.#figures, this.#sending];
    const reply = await this.#options.redis.callDurable(scripts.remove, keys, [
      ...[memberOf(id), what, overheadBytes],
    ]);
    return Number(reply);
  }

  #ended({ id }: DueMessage): void {
    this.#out.delete(id);
    if (this.#out.size > 0) return;
    clearInterval(this.#keeping);
    this.#keeping = undefined;
  }

  /** A send may take long: nobody else takes what is under way. */
  #keep(): void {
    const { redis, takenMs } = this.#options;
    redis.command('SET', this.#takerKey, this.#taker, 'PX', takenMs).catch(() => undefined);
  }
}

function memberOf(id: number): string {
  return String(id).padStart(idDigits, '0');
}

function listOf(reply: Reply): Reply[] {
  return Array.isArray(reply) ? reply : [];
}

function bufferOf(reply: Reply | undefined): Buffer {
  return Buffer.isBuffer(reply) ? reply : Buffer.from(String(reply));
}
