// Rights of a client to read: the rules that apply to it, in order, with its names filled in. The
// dispatch node makes them and the connection node judges by them, so that no message waits for an
// answer.
//
// The first rule whose filter matches a topic decides; where none does, `otherwise`. A subscription
// is judged for all topics that its filter matches, without walking them: a wildcard of the filter,
// and of its common part with each rule, is filled with a level that no rule names. Such a topic is
// matched by no more rules than any other of that part, so its answer is that of every topic for
// which the same rule decides.

import { RuleIndex } from './rule-index.ts';
import { isOfMount } from './mount.ts';
import { isWildcardFilter, matches, overlaps, parseSharedFilter } from './topic.ts';

export interface ReadRule {
  readonly allow: boolean;
  /** A valid topic filter, not shared. */
  readonly filter: string;
}

export interface ReadRules {
  readonly rules: readonly ReadRule[];
  /** The answer where no rule matches. */
  readonly otherwise: boolean;
  /** Namespace of the client, outside of which nothing may be read but `$SYS/`. */
  readonly within?: string | undefined;
}

/** How much of the topics that a subscription matches may be read. */
export type Readable = 'all' | 'some' | 'nothing';

/** A level that no rule and no topic has. */
const unnamed = '\0';
const separator = '\0';

/** Rules as one line, for the link: equal rules have equal texts. */
export function textOfRules({ rules, otherwise, within }: ReadRules): string {
  let text = otherwise ? '+' : '-';
  if (within !== undefined) text += within;
  for (const { allow, filter } of rules) text += `${separator}${allow ? '+' : '-'}${filter}`;
  return text;
}

export function rulesOfText(text: string): ReadRules {
  const [head = '', ...rules] = text.split(separator);
  return {
    otherwise: head.startsWith('+'),
    rules: rules.map((rule) => ({ allow: rule.startsWith('+'), filter: rule.slice(1) })),
    ...(head.length > 1 ? { within: head.slice(1) } : {}),
  };
}

/** Answers that are kept by all rights of a node; at the limit all of them are made anew. */
export class ReadAnswers {
  readonly #answersMax: number;
  #lists = new Set<Map<string, boolean>>();
  #count = 0;

  constructor(answersMax: number) {
    this.#answersMax = answersMax;
  }

  get count(): number {
    return this.#count;
  }

  /** False: the limit was reached. */
  keep(list: Map<string, boolean>, topic: string, allowed: boolean): boolean {
    const isFull = this.#count >= this.#answersMax;
    if (isFull) {
      for (const full of this.#lists) full.clear();
      this.#lists = new Set();
      this.#count = 0;
    }
    list.set(topic, allowed);
    this.#lists.add(list);
    this.#count += 1;
    return !isFull;
  }
}

const filtersMax = 1000;

/** The rules of one text, shared by all clients that have the same. */
export class ReadRights implements ReadRules {
  readonly text: string;
  readonly rules: readonly ReadRule[];
  readonly otherwise: boolean;
  readonly within: string | undefined;
  readonly #answers: ReadAnswers;
  #verdicts: Verdicts | undefined = undefined;
  readonly #topics = new Map<string, boolean>();
  readonly #filters = new Map<string, Readable>();

  constructor(text: string, answers: ReadAnswers) {
    const { rules, otherwise, within } = rulesOfText(text);
    this.within = within;
    this.text = text;
    this.rules = rules;
    this.otherwise = otherwise;
    this.#answers = answers;
  }

  /** Whether a message of the topic may be read. */
  allows(topic: string): boolean {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const isWithin = this.within === undefined || isOfMount(this.within, topic);
    const allowed = isWithin && this.#judge.allows(topic);
    this.#answers.keep(this.#topics, topic, allowed);
    return allowed;
  }

  /** How much of a filter may be read; of `$share/{group}/{filter}` its inner filter counts. */
  of(filter: string): Readable {
    const shared = parseSharedFilter(filter);
    if (shared === 'malformed') return 'nothing';
    const asked = shared?.filter ?? filter;
    const known = this.#filters.get(asked);
    if (known !== undefined) return known;
    const readable = this.#within(asked, readableBy(this, asked, this.#judge));
    if (this.#filters.size >= filtersMax) this.#filters.clear();
    this.#filters.set(asked, readable);
    return readable;
  }

  /** A filter of the namespace may match a topic beside it: `a/#` has `a`. */
  #within(asked: string, readable: Readable): Readable {
    if (this.within === undefined) return readable;
    if (!asked.startsWith(this.within) && !asked.startsWith('$SYS')) return 'nothing';
    return readable === 'all' && isWildcardFilter(asked) ? 'some' : readable;
  }

  get #judge(): Verdicts {
    return (this.#verdicts ??= new Verdicts(this));
  }
}

/** All rights that are in use, by their texts. */
export class ReadRightsTable {
  readonly answers: ReadAnswers;
  readonly #rightsMax: number;
  readonly #byText = new Map<string, ReadRights>();

  constructor(answersMax: number, rightsMax = 4096) {
    this.answers = new ReadAnswers(answersMax);
    this.#rightsMax = rightsMax;
  }

  /** undefined: everything may be read. */
  of(text: string | undefined): ReadRights | undefined {
    if (text === undefined) return undefined;
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    // Connected clients keep their rights; clients that come later get new ones.
    if (this.#byText.size >= this.#rightsMax) this.#byText.clear();
    const rights = new ReadRights(text, this.answers);
    this.#byText.set(text, rights);
    return rights;
  }
}

const walkedMax = 16;
/**
 * Rules that overlap a filter and turn out to add no answer: past that many a filter that may be
 * read counts as readable in part, so that each of its messages is judged.
 */
const shadowedMax = 64;

/** Verdicts on topics; many rules are found by their levels instead of one after another. */
class Verdicts {
  readonly #rules: ReadRules;
  readonly #byLevel: RuleIndex | undefined;
  /** Levels of the longest rule. */
  readonly levelsMax: number;

  constructor(rules: ReadRules) {
    this.#rules = rules;
    const filters = rules.rules.map(({ filter }) => levelsOf(filter));
    this.levelsMax = filters.reduce((most, { length }) => Math.max(most, length), 0);
    if (filters.length > walkedMax) this.#byLevel = new RuleIndex(filters);
  }

  allows(topic: string): boolean {
    return this.verdict(this.first(topic));
  }

  verdict(index: number): boolean {
    return this.#rules.rules[index]?.allow ?? this.#rules.otherwise;
  }

  /** Index of the rule that decides about the topic; Infinity: none does. */
  first(topic: string): number {
    if (this.#byLevel !== undefined) return this.#byLevel.first(topic);
    const index = this.#rules.rules.findIndex(({ filter }) => matches(filter, topic));
    return index < 0 ? Number.POSITIVE_INFINITY : index;
  }

  /**
   * Calls `visit` with the rules below an index that may match a topic of the filter, until it
   * answers true.
   */
  near(asked: string, below: number, visit: (index: number) => boolean): void {
    if (this.#byLevel !== undefined) {
      this.#byLevel.near(asked, below, visit);
      return;
    }
    const end = Math.min(below, this.#rules.rules.length);
    for (let index = 0; index < end; index += 1) if (visit(index)) return;
  }
}

/** How much of a filter, which is not shared, may be read. */
export function readableBy(
  all: ReadRules,
  asked: string,
  verdicts: Verdicts = new Verdicts(all),
): Readable {
  const levelsMax = Math.max(levelsOf(asked).length, verdicts.levelsMax);
  let some = false;
  let denied = false;
  // A rule that decides about a sample of the filter decides about all topics that the sample
  // stands for: behind the last of such rules none decides anything.
  let last = -1;
  for (const topic of samples(asked, levelsMax)) {
    const index = verdicts.first(topic);
    last = Math.max(last, index);
    if (verdicts.verdict(index)) some = true;
    else denied = true;
  }
  let looked = 0;
  verdicts.near(asked, last, (index) => {
    if (some && denied) return true;
    const { allow, filter } = all.rules[index]!;
    // A rule can add no answer but its own, and what earlier rules say is asked with theirs.
    if (allow ? some : denied) return false;
    const common = intersection(filter, asked);
    if (common === undefined) return false;
    looked += 1;
    if (some && looked > shadowedMax) denied = true;
    for (const topic of samples(common, levelsMax)) {
      if (verdicts.allows(topic)) some = true;
      else denied = true;
    }
    return false;
  });
  if (!some) return 'nothing';
  return denied ? 'some' : 'all';
}

/** Topics that stand for all that a filter matches: one for each number of levels that counts. */
function samples(filter: string, levelsMax: number): string[] {
  const levels = levelsOf(filter).map((level) => (level === '+' ? unnamed : level));
  if (levels.at(-1) !== '#') return [levels.join('/')];
  levels.pop();
  const topics: string[] = [];
  // `a/#` has `a`, and past the longest rule more levels change nothing; no topic is empty.
  for (;;) {
    const topic = levels.join('/');
    if (topic !== '') topics.push(topic);
    if (levels.length > levelsMax) return topics;
    levels.push(unnamed);
  }
}

/** The filter that matches what both match; undefined: nothing. */
export function intersection(one: string, other: string): string | undefined {
  if (!overlaps(one, other)) return undefined;
  const [a, b] = [levelsOf(one), levelsOf(other)];
  const common: string[] = [];
  for (let index = 0; ; index += 1) {
    const [levelA, levelB] = [a[index], b[index]];
    if (levelA === '#') return [...common, ...b.slice(index)].join('/');
    if (levelB === '#') return [...common, ...a.slice(index)].join('/');
    if (levelA === undefined || levelB === undefined) return common.join('/');
    common.push(levelA === '+' ? levelB : levelA);
  }
}

function levelsOf(filter: string): string[] {
  return filter.split('/');
}
