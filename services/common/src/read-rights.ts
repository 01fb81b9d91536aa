// Rights of a client to read: the rules that apply to it, in order, with its names filled in. The
// dispatch node makes them and the connection node judges by them, so that no message waits for an
// answer.
//
// The first rule whose filter matches a topic decides; where none does, `otherwise`. A subscription
// is judged for all topics that its filter matches, without walking them: a wildcard of the filter,
// and of its common part with each rule, is filled with a level that no rule names. Such a topic is
// matched by no more rules than any other of that part, so its answer is that of every topic for
// which the same rule decides.

import { matches, overlaps, parseSharedFilter } from './topic.ts';
import { TopicTrie } from './topic-trie.ts';

export interface ReadRule {
  readonly allow: boolean;
  /** A valid topic filter, not shared. */
  readonly filter: string;
}

export interface ReadRules {
  readonly rules: readonly ReadRule[];
  /** The answer where no rule matches. */
  readonly otherwise: boolean;
}

/** How much of the topics that a subscription matches may be read. */
export type Readable = 'all' | 'some' | 'nothing';

/** A level that no rule and no topic has. */
const unnamed = '\0';
const separator = '\0';

/** Rules as one line, for the link: equal rules have equal texts. */
export function textOfRules({ rules, otherwise }: ReadRules): string {
  let text = otherwise ? '+' : '-';
  for (const { allow, filter } of rules) text += `${separator}${allow ? '+' : '-'}${filter}`;
  return text;
}

export function rulesOfText(text: string): ReadRules {
  const [otherwise, ...rules] = text.split(separator);
  return {
    otherwise: otherwise === '+',
    rules: rules.map((rule) => ({ allow: rule.startsWith('+'), filter: rule.slice(1) })),
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
  readonly #answers: ReadAnswers;
  #verdicts: Verdicts | undefined = undefined;
  readonly #topics = new Map<string, boolean>();
  readonly #filters = new Map<string, Readable>();

  constructor(text: string, answers: ReadAnswers) {
    const { rules, otherwise } = rulesOfText(text);
    this.text = text;
    this.rules = rules;
    this.otherwise = otherwise;
    this.#answers = answers;
  }

  /** Whether a message of the topic may be read. */
  allows(topic: string): boolean {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const allowed = this.#judge.allows(topic);
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
    const readable = readableBy(this, asked, this.#judge);
    if (this.#filters.size >= filtersMax) this.#filters.clear();
    this.#filters.set(asked, readable);
    return readable;
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

/** Answers for topics; many rules are found by their levels instead of one after another. */
class Verdicts {
  readonly #rules: ReadRules;
  readonly #byLevel: TopicTrie<number> | undefined;

  constructor(rules: ReadRules) {
    this.#rules = rules;
    if (rules.rules.length <= walkedMax) return;
    const byLevel = new TopicTrie<number>();
    for (const [index, { filter }] of rules.rules.entries()) byLevel.add(filter, index);
    this.#byLevel = byLevel;
  }

  allows(topic: string): boolean {
    const { rules, otherwise } = this.#rules;
    if (this.#byLevel === undefined) {
      for (const { allow, filter } of rules) if (matches(filter, topic)) return allow;
      return otherwise;
    }
    let first = rules.length;
    for (const index of this.#byLevel.match(topic)) first = Math.min(first, index);
    return rules[first]?.allow ?? otherwise;
  }
}

/** How much of a filter, which is not shared, may be read. */
export function readableBy(
  all: ReadRules,
  asked: string,
  verdicts: Verdicts = new Verdicts(all),
): Readable {
  const near = all.rules.filter(({ filter }) => overlaps(filter, asked));
  let levelsMax = levelsOf(asked).length;
  for (const { filter } of near) levelsMax = Math.max(levelsMax, levelsOf(filter).length);
  let some = false;
  let denied = false;
  const ask = (filter: string): void => {
    for (const topic of samples(filter, levelsMax)) {
      if (verdicts.allows(topic)) some = true;
      else denied = true;
    }
  };
  ask(asked);
  for (const { allow, filter } of near) {
    if (some && denied) return 'some';
    // A rule can add no answer but its own, and what earlier rules say is asked with theirs.
    if (allow ? some : denied) continue;
    const common = intersection(filter, asked);
    if (common !== undefined) ask(common);
  }
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
