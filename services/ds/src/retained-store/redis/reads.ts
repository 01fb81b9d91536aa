import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { OrderKey } from '@lmqtt/common/message';
import type { RedisConnection } from '../../redis/connection.ts';
import { loadScript } from '../../redis/script.ts';
import type { RetainedKeys } from './keys.ts';
import { encodeOrderKey } from './record.ts';

interface Question {
  readonly topic: string;
  resolve(record: Buffer | undefined): void;
  reject(error: unknown): void;
}

const fetch = loadScript(import.meta.dirname, 'fetch');
const version = loadScript(import.meta.dirname, 'version');
const topicsAtOnce = 256;
const bytesAtOnce = 4 * 1024 * 1024;

/**
 * Reads of records. Those of single topics go out together, once a turn: SUBSCRIBE asks for them.
 */
export class RetainedReads {
  readonly #connection: RedisConnection;
  readonly #keys: RetainedKeys;
  #questions: Question[] = [];
  readonly #sending: OnceATurn = new OnceATurn(() => this.send());

  constructor(connection: RedisConnection, keys: RetainedKeys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  one(topic: string): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#questions.push({ topic, resolve, reject });
      this.#sending.soon();
    });
  }

  /** Sends what waits for the end of the turn. */
  send(): void {
    const questions = this.#questions;
    this.#questions = [];
    for (let at = 0; at < questions.length; at += topicsAtOnce) {
      void this.#answer(questions.slice(at, at + topicsAtOnce));
    }
  }

  /** In their order, an empty one where there is none; fewer where they are too large together. */
  async some(topics: readonly (Buffer | string)[], bytesMax: number): Promise<Buffer[]> {
    const args = [bytesMax, ...topics];
    const reply = await this.#connection.callBuffer(fetch, [this.#keys.records], args);
    return Array.isArray(reply) ? reply.filter((record) => Buffer.isBuffer(record)) : [];
  }

  async version(topic: string, orderKey: OrderKey): Promise<Buffer | undefined> {
    const { records, replaced } = this.#keys;
    const args = [topic, encodeOrderKey(orderKey)];
    const reply = await this.#connection.callBuffer(version, [records, replaced], args);
    return Buffer.isBuffer(reply) ? reply : undefined;
  }

  async #answer(questions: readonly Question[]): Promise<void> {
    let answered = 0;
    try {
      while (answered < questions.length) {
        const rest = questions.slice(answered);
        const records = await this.some(
          rest.map(({ topic }) => topic),
          bytesAtOnce,
        );
        if (records.length === 0) throw new Error('no answer to what was asked');
        for (const [index, record] of records.entries()) rest[index]!.resolve(record);
        answered += records.length;
      }
    } catch (error) {
      for (const question of questions.slice(answered)) question.reject(error);
    }
  }
}
