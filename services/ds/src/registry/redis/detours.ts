// Claims of MQTT topics in Redis: two bits of a bitmap for each topic, and a hash of detours. This
// ds keeps the bits of its own claims. Whenever it sets bits here it knows all detours that were
// made before: a topic whose bits are set has no detour that is unknown here.
import type { Claim, Detours } from '../detours.ts';
import { failureOf, type Membership, type Restorer } from './membership.ts';
import { listOf, textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

/** At 1,000,000 topics some 5 % of new ones count as claimed. */
const bitsMax = 1 << 23;
/** Arguments of one call. */
const claimsAtOnce = 500;
const bitsAtOnce = 2000;
const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;
/** Beginning of the second hash. */
const otherOffset = 0x9e3779b1;

export class RedisDetours implements Detours, Restorer {
  readonly #member: Membership;
  readonly #detoursMax: number;
  readonly #bits = new Uint8Array(bitsMax / 8);
  readonly #detours = new Map<string, string>();

  constructor(member: Membership, detoursMax: number) {
    this.#member = member;
    this.#detoursMax = detoursMax;
  }

  get count(): number {
    return this.#detours.size;
  }

  isClaimed(topic: string): boolean {
    return (
      (this.#isSet(bitOf(topic, fnvOffset)) && this.#isSet(bitOf(topic, otherOffset))) ||
      this.#detours.has(topic)
    );
  }

  of(topic: string): string | undefined {
    return this.#detours.get(topic);
  }

  async claim(claims: readonly Claim[]): Promise<void> {
    for (let at = 0; at < claims.length; at += claimsAtOnce)
      await this.#claim(claims.slice(at, at + claimsAtOnce));
  }

  async read(): Promise<boolean> {
    const { redis, base } = this.#member;
    try {
      const count = Number(textOf(await redis.command('HLEN', `${base}detours`)));
      if (count <= this.#detours.size) return false;
      await this.#readAll();
      return true;
    } catch (error) {
      throw failureOf(error);
    }
  }

  async restore(why: 'lost' | 'ended'): Promise<void> {
    if (why === 'ended') return;
    const detours = [...this.#detours];
    for (let at = 0; at < detours.length; at += claimsAtOnce) {
      const args = detours.slice(at, at + claimsAtOnce).flat();
      await this.#member.plain(scripts.restoreClaims, 'detours', ...args);
    }
    let bits: string[] = [];
    const send = async (): Promise<void> => {
      if (bits.length > 0) await this.#member.plain(scripts.restoreClaims, 'bits', ...bits);
      bits = [];
    };
    for (const [byte, value] of this.#bits.entries()) {
      if (value === 0) continue;
      for (let bit = 0; bit < 8; bit += 1)
        if ((value & (1 << bit)) !== 0) bits.push(`${8 * byte + bit}`);
      if (bits.length >= bitsAtOnce) await send();
    }
    await send();
    await this.#readAll();
  }

  caughtUp(): Promise<void> {
    return Promise.resolve();
  }

  async #claim(claims: readonly Claim[]): Promise<void> {
    const bits = claims.map(({ topic }) => [bitOf(topic, fnvOffset), bitOf(topic, otherOffset)]);
    const args = claims.flatMap(({ topic, detour }, index) => [
      ...[topic, detour],
      ...bits[index]!.map((bit) => `${bit}`),
    ]);
    const answer = listOf(
      await this.#member.plain(scripts.claim, `${this.#detoursMax}`, ...args),
    ).map(textOf);
    for (const [index, { topic }] of claims.entries()) {
      const detour = answer[index + 1]!;
      if (detour !== '') this.#detours.set(topic, detour);
    }
    // Others have made some: they count before the bits do.
    if (Number(answer[0]) > this.#detours.size) await this.#readAll();
    for (const bit of bits.flat()) this.#bits[bit >> 3]! |= 1 << (bit & 7);
  }

  async #readAll(): Promise<void> {
    const { redis, base } = this.#member;
    try {
      const texts = listOf(await redis.command('HGETALL', `${base}detours`)).map(textOf);
      for (let at = 0; at < texts.length; at += 2) this.#detours.set(texts[at]!, texts[at + 1]!);
    } catch (error) {
      throw failureOf(error);
    }
  }

  #isSet(bit: number): boolean {
    return (this.#bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
  }
}

/** FNV-1a over UTF-16 units, mixed: the same at every ds. */
function bitOf(topic: string, offset: number): number {
  let hash = offset;
  for (let at = 0; at < topic.length; at += 1)
    hash = Math.imul(hash ^ topic.charCodeAt(at), fnvPrime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) & (bitsMax - 1);
}
