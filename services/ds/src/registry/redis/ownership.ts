import { nodeId } from '@lmqtt/common/ids';
import { OnceATurn } from '@lmqtt/common/once-a-turn';
import type { Owned, Ownership } from '../ownership.ts';
import { failureOf, type Membership } from './membership.ts';
import { listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

interface Saving {
  readonly args: readonly [thing: string, epoch: number, text: string];
  readonly resolve: (saved: boolean) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Owners and texts of things in two hashes; an owner counts while its join of the cluster lasts.
 */
export class RedisOwnership implements Ownership {
  readonly #member: Membership;
  readonly #saver: OnceATurn = new OnceATurn(() => void this.#save());
  #saving: Saving[] = [];

  constructor(member: Membership) {
    this.#member = member;
  }

  async acquire(things: readonly string[]): Promise<Owned[]> {
    if (things.length === 0) return [];
    const [, ...reply] = (await this.#member.call(scripts.acquire, ...things)).map(textOf);
    return things.map((_, index) => ({
      owner: nodeId(reply[2 * index]!),
      epoch: Number(reply[2 * index + 1]),
    }));
  }

  async release(things: readonly string[]): Promise<void> {
    if (things.length > 0) await this.#member.call(scripts.giveUp, ...things);
  }

  save(thing: string, epoch: number, text: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#saving.push({ args: [thing, epoch, text], resolve, reject });
      this.#saver.soon();
    });
  }

  async load(things: readonly string[]): Promise<(string | undefined)[]> {
    if (things.length === 0) return [];
    const { redis, base } = this.#member;
    try {
      const texts = listOf(await redis.command('HMGET', `${base}texts`, ...things));
      return texts.map((text) => (text === null ? undefined : textOf(text)));
    } catch (error) {
      throw failureOf(error);
    }
  }

  async #save(): Promise<void> {
    const saving = this.#saving;
    this.#saving = [];
    try {
      const args = saving.flatMap((one) => one.args);
      const [, results] = await this.#member.call(scripts.save, ...args);
      const digits = textOf(results);
      saving.forEach(({ resolve }, index) => resolve(digits[index] === '1'));
    } catch (error) {
      for (const { reject } of saving) reject(failureOf(error));
    }
  }
}
