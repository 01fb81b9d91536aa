import { matches } from '@lmqtt/common/topic';
import { nextCandidate } from '@lmqtt/common/topic-trie';
import type { RedisConnection } from '../../redis/connection.ts';

/** One step of a scan, in the order of bytes. */
interface ScannedTopics {
  readonly topics: Buffer[];
  /** The last topic that was looked at; undefined: there is no more. */
  readonly last: Buffer | undefined;
}

const namesAtOnce = 512;
/** Round trips of a page; a filter that matches little goes on with the next page. */
const stepsMax = 8;

/**
 * Topics that a filter with wildcards matches, behind `after`, out of a sorted set with one score.
 * Names are asked for by the hundred and matched here; where no match can lie between two places
 * the scan goes on at the second. Works on latin1 strings: one code unit for each byte, so that
 * the order of strings is that of Redis.
 */
export async function scanTopics(
  connection: RedisConnection,
  key: string,
  filter: string,
  after: string,
  topicsMax: number,
): Promise<ScannedTopics> {
  const pattern = latin1(filter);
  const levels = pattern.split('/');
  const prefix = literalPrefix(levels);
  const end = prefix === '' ? '+' : `(${prefix}0`;
  let start = after === '' ? (prefix === '' ? '-' : `[${prefix}`) : `(${latin1(after)}`;
  const topics: Buffer[] = [];
  let last = after === '' ? undefined : latin1(after);
  for (let steps = 0; steps < stepsMax; steps += 1) {
    const args = [Buffer.from(start, 'latin1'), Buffer.from(end, 'latin1'), 'LIMIT', 0];
    const reply = await connection.commandBuffer('ZRANGEBYLEX', key, ...args, namesAtOnce);
    const names = Array.isArray(reply) ? reply : [];
    let from = '';
    for (const member of names) {
      if (!Buffer.isBuffer(member)) continue;
      const name = member.toString('latin1');
      last = name;
      if (name < from) continue;
      if (matches(pattern, name)) {
        topics.push(member);
        if (topics.length === topicsMax) return { topics, last: member };
        continue;
      }
      const next = nextCandidate(levels, name);
      if (next === undefined) return { topics, last: undefined };
      if (next > name) from = next;
    }
    if (last === undefined || names.length < namesAtOnce) return { topics, last: undefined };
    start = from > last ? `[${from}` : `(${last}`;
  }
  return { topics, last: last === undefined ? undefined : Buffer.from(last, 'latin1') };
}

/** The levels before the first wildcard: all matches are that topic or begin with it and `/`. */
function literalPrefix(levels: readonly string[]): string {
  const at = levels.findIndex((level) => level === '+' || level === '#');
  return levels.slice(0, at).join('/');
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
