// Topic names and topic filters: what is legal, what matches what, and what covers what (MQTT 5.0,
// 4.7 and 4.8.2; the rules of 3.1.1 are the same). What runs for each message walks the strings in
// place and allocates nothing.

/** The longest topic name or filter, in bytes of UTF-8. */
const topicBytesMax = 65_535;

const sharePrefix = '$share/';
const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;
const dollar = 0x24;

// Lone surrogates cannot come off the wire, but they can come from a program; they have no UTF-8
// form [MQTT-1.5.4-1].
const illegalInFilter = /[\0\p{Cs}]/u;

/** A filter `$share/{group}/{filter}`, taken apart. */
interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

/** Whether it may be published to: not empty, no wildcard, no U+0000, at most 65,535 bytes. */
export function isValidTopicName(topic: string): boolean {
  return topic !== '' && !/[+#\0]/.test(topic) && Buffer.byteLength(topic) <= 65_535;
}

/** Whether a client may subscribe to it, a shared one (`$share/{group}/{filter}`) included. */
export function isValidTopicFilter(filter: string): boolean {
  if (!fits(filter) || illegalInFilter.test(filter)) return false; // [MQTT-4.7.3-2] [MQTT-4.7.3-3]
  const shared = parseSharedFilter(filter);
  if (shared === 'malformed') return false;
  return hasLegalWildcards(shared === undefined ? filter : shared.filter);
}

/** undefined for a filter that is not shared; a shared one's inner filter is not yet validated. */
export function parseSharedFilter(filter: string): SharedFilter | undefined | 'malformed' {
  if (!filter.startsWith(sharePrefix)) return undefined;
  const end = filter.indexOf('/', sharePrefix.length);
  // [MQTT-4.8.2-1] a share name of one character or more; [MQTT-4.8.2-2] then "/" and a filter
  if (end <= sharePrefix.length || end === filter.length - 1) return 'malformed';
  const group = filter.slice(sharePrefix.length, end);
  if (/[+#]/.test(group)) return 'malformed'; // [MQTT-4.8.2-2]
  return { group, filter: filter.slice(end + 1) };
}

/**
 * Whether the topic is one on which a mosquitto bridge, at either end, says that it is connected.
 */
export function isBridgeState(topic: string): boolean {
  return topic.startsWith('$SYS/broker/connection/') && topic.endsWith('/state');
}

export function isWildcardFilter(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

/**
 * Places of a filter's wildcards: a character for each level, `x` where it has a name. Of two
 * filters with the same places no topic matches both. '': it has none.
 */
export function wildcardPlaces(filter: string): string {
  if (!isWildcardFilter(filter)) return '';
  let places = '';
  let start = 0;
  for (;;) {
    const slashAt = filter.indexOf('/', start);
    const first = filter[start];
    places += first === '+' || first === '#' ? first : 'x';
    if (slashAt === -1) return places;
    start = slashAt + 1;
  }
}

export function levelCount(topic: string): number {
  let count = 1;
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) count += 1;
  return count;
}

/** Whether a (valid, not shared) filter matches a (valid) topic name. */
export function matches(filter: string, topic: string): boolean {
  // [MQTT-4.7.2-1] a leading wildcard does not match a topic that begins with $
  if (topic.charCodeAt(0) === dollar && startsWithWildcard(filter)) return false;
  let f = 0;
  let t = 0;
  while (f < filter.length) {
    const code = filter.charCodeAt(f);
    if (code === hash) return true;
    if (code === plus) {
      t = levelEnd(topic, t);
      f += 1;
      continue;
    }
    if (t === topic.length) return filter.length - f === 2 && filter.endsWith('/#');
    if (code !== topic.charCodeAt(t)) return false;
    f += 1;
    t += 1;
  }
  return t === topic.length;
}

/**
 * Whether every topic name that `inner` matches is matched by `outer` too (valid filters, not
 * shared).
 */
export function covers(outer: string, inner: string): boolean {
  // [MQTT-4.7.2-1]
  if (inner.charCodeAt(0) === dollar && startsWithWildcard(outer)) return false;
  inner = withoutEmptyTopic(inner);
  let o = 0;
  let i = 0;
  for (;;) {
    const outerEnd = levelEnd(outer, o);
    const innerEnd = levelEnd(inner, i);
    const outerCode = outerEnd === o ? 0 : outer.charCodeAt(o);
    if (outerCode === hash) return true;
    if (innerEnd > i && inner.charCodeAt(i) === hash) return false;
    if (outerCode !== plus && !sameLevel(outer, o, outerEnd, inner, i, innerEnd)) return false;
    const outerDone = outerEnd === outer.length;
    if (innerEnd === inner.length) return outerDone || outer.slice(outerEnd) === '/#';
    if (outerDone) return false;
    o = outerEnd + 1;
    i = innerEnd + 1;
  }
}

/** Whether some topic name is matched by both (valid filters, not shared). */
export function overlaps(one: string, other: string): boolean {
  if (startsWithWildcard(one) && other.startsWith('$')) return false; // [MQTT-4.7.2-1]
  if (startsWithWildcard(other) && one.startsWith('$')) return false;
  if (!startsWithWildcard(one) && !startsWithWildcard(other)) {
    const [oneEnd, otherEnd] = [levelEnd(one, 0), levelEnd(other, 0)];
    if (!sameLevel(one, 0, oneEnd, other, 0, otherEnd)) return false;
  }
  const levels = withoutEmptyTopic(one).split('/');
  const others = withoutEmptyTopic(other).split('/');
  for (let index = 0; ; index += 1) {
    const level = levels[index];
    const otherLevel = others[index];
    if (level === '#' || otherLevel === '#') return true;
    if (level === undefined || otherLevel === undefined) return level === otherLevel;
    if (level !== '+' && otherLevel !== '+' && level !== otherLevel) return false;
  }
}

/**
 * There is no empty topic, so these two match the same with a `+` more, and then level by level is
 * exact. Elsewhere `a/#` has `a`, which `a/+/#` has not.
 */
function withoutEmptyTopic(filter: string): string {
  if (filter === '#') return '+/#';
  return filter === '/#' ? '/+/#' : filter;
}

function startsWithWildcard(filter: string): boolean {
  const first = filter.charCodeAt(0);
  return first === plus || first === hash;
}

function fits(text: string): boolean {
  // No UTF-16 unit takes more than three bytes, so most need no counting.
  return text.length * 3 <= topicBytesMax || Buffer.byteLength(text) <= topicBytesMax;
}

function hasLegalWildcards(filter: string): boolean {
  if (filter.length === 0) return false; // [MQTT-4.7.3-1]
  for (let at = 0; at < filter.length; at += 1) {
    const code = filter.charCodeAt(at);
    if (code !== plus && code !== hash) continue;
    if (at > 0 && filter.charCodeAt(at - 1) !== slash) return false; // [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    const last = at === filter.length - 1;
    if (code === hash && !last) return false; // [MQTT-4.7.1-1]
    if (!last && filter.charCodeAt(at + 1) !== slash) return false; // [MQTT-4.7.1-2]
  }
  return true;
}

function levelEnd(text: string, from: number): number {
  const end = text.indexOf('/', from);
  return end === -1 ? text.length : end;
}

function sameLevel(
  a: string,
  aStart: number,
  aEnd: number,
  b: string,
  bStart: number,
  bEnd: number,
): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false;
  for (let offset = 0; aStart + offset < aEnd; offset += 1)
    if (a.charCodeAt(aStart + offset) !== b.charCodeAt(bStart + offset)) return false;
  return true;
}
