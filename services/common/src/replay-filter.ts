// A subscription that begins earlier: `$replay/{from}/{filter}`, also what a cs makes of the user
// property `lmqtt-from` of a SUBSCRIBE. It is a subscription to the filter in all else, its name too.
//
//   earliest                  what is kept
//   -90s -30m -1h -7d         so long ago
//   2030-01-31T08:00:00Z      a time, with its zone
//   1234                      an offset in the queue, for those who know it
import { type QueueName, queueName } from './ids.ts';

interface ReplayFilter {
  readonly from: string;
  readonly filter: string;
}

/** Where a replay begins. */
export type ReplayStart =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly timeMs: number };

const prefix = '$replay/';
const unitsMs: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const datePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)$/;

/** Name of the queue of all topics, which keeps what may be replayed. */
export const replayQueueName: QueueName = queueName('+/#');

/** The property of a SUBSCRIBE that asks for a replay. */
export const replayProperty = 'lmqtt-from';

/** undefined: a filter of another kind. The inner filter is not yet validated. */
export function parseReplayFilter(filter: string): ReplayFilter | undefined {
  if (!filter.startsWith(prefix)) return undefined;
  const end = filter.indexOf('/', prefix.length);
  if (end === -1) return { from: '', filter: '' };
  return { from: filter.slice(prefix.length, end), filter: filter.slice(end + 1) };
}

export function replayFilter({ from, filter }: ReplayFilter): string {
  return `${prefix}${from.includes('/') ? '' : from}/${filter}`;
}

/** The name under which the filter is subscribed to. */
export function withoutReplay(filter: string): string {
  return parseReplayFilter(filter)?.filter ?? filter;
}

/** undefined: the text names no place. */
export function replayStart(from: string, nowMs: number): ReplayStart | undefined {
  if (from === 'earliest') return { kind: 'earliest' };
  if (/^\d{1,15}$/.test(from)) return { kind: 'offset', offset: Number(from) };
  const [, count, unit] = /^-(\d{1,9})([smhd])$/.exec(from) ?? [];
  if (count !== undefined && unit !== undefined)
    return { kind: 'time', timeMs: Math.max(1, nowMs - Number(count) * unitsMs[unit]!) };
  const timeMs = datePattern.test(from) ? Date.parse(from) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : { kind: 'time', timeMs: Math.max(1, timeMs) };
}
