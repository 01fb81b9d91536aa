// Access rules: who may publish and subscribe to what, from a file that is read again when it
// changes. One rule a line:
//
//   allow|deny  WHO  publish|subscribe|all  FILTER
//
//   # Devices talk below their own name, and nobody reads the keys.
//   deny   all                    all        keys/#
//   allow  user=operator          all        #
//   allow  client="bridge one"    publish    site/+/bridge
//   allow  address=10.0.0.0/8     subscribe  site/#
//   allow  user=*                 all        devices/%u/#
//   allow  all                    subscribe  $SYS/#
//
// WHO     user=NAME (verified; `*`: any), client=ID (`*`: any), address=IP or CIDR, or `all`. A
// value with a space or a quote
//         in it is put into double quotes, where \" and \\ stand for " and \.
// FILTER  the rest of the line, a topic filter; %c is the client id, %u the verified user name, %m
// the namespace of the client (clients without one have no rule with %m), %% a percent sign. With a
// namespace the full name of a topic counts.
//         A user name or client id that is not a plain piece of a level (it has +, #, / or U+0000, or begins with $ at the
//         filter's beginning) widens nothing: an allow rule does not apply to it, and a deny rule denies from there down.
//         Without a user name, no rule with %u applies.
//
// The first line whose filter matches a topic decides; where none does: denied. A subscription is
// granted where any topic that it matches may be read, and gets what may be read; for
// `$share/{group}/{filter}` the inner filter counts. Empty lines and lines that begin with # are
// skipped.

import type { BlockList } from 'node:net';
import type { ClientId } from '@lmqtt/common/ids';
import { isWithin, networkOf } from '@lmqtt/common/networks';
import { type ReadRule, readableBy, type ReadRules } from '@lmqtt/common/read-rights';
import { isValidTopicFilter, matches, parseSharedFilter } from '@lmqtt/common/topic';
import type { AccessAction, AccessControl, Principal } from './auth-provider.ts';
import { filledFilter, type FilterPiece, filterPieces, sampleFilter } from './filled-filter.ts';
import {
  LineError,
  type LineParser,
  type Parsed,
  parseLines,
  ReloadedFile,
  type ReloadOptions,
} from './reloaded-file.ts';
import { withoutShare } from './rule-verdict.ts';

type Who =
  | { readonly kind: 'all' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'client'; readonly id: string }
  | { readonly kind: 'address'; readonly network: BlockList };

interface AccessRule {
  readonly allow: boolean;
  readonly who: Who;
  readonly action: AccessAction | 'all';
  /**
   * The filter in pieces: text, and what stands for a name. One piece of text: nothing to put in.
   */
  readonly filter: readonly FilterPiece[];
}

export class AccessRules implements AccessControl {
  readonly #file: ReloadedFile<readonly AccessRule[]>;

  static async open(path: string, options: ReloadOptions): Promise<AccessRules> {
    const parse = (text: string): Promise<Parsed<readonly AccessRule[]>> =>
      parseLines(text, new AccessRuleLines());
    return new AccessRules(await ReloadedFile.open(path, parse, options));
  }

  private constructor(file: ReloadedFile<readonly AccessRule[]>) {
    this.#file = file;
  }

  get version(): number {
    return this.#file.version;
  }

  authorise(
    principal: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topicOrFilter: string,
  ): boolean {
    const asked = withoutShare(action, topicOrFilter);
    if (asked === undefined) return false;
    const { user, mount } = principal;
    return judge(this.#file.value, { user, mount, clientId, address }, action, asked);
  }

  reading({ user, mount }: Principal, clientId: ClientId, address: string): ReadRules {
    return readRules(this.#file.value, { user, mount, clientId, address });
  }

  onChange(listener: () => void): void {
    this.#file.onChange(listener);
  }

  close(): void {
    this.#file.close();
  }
}

interface Asker {
  readonly user: string | undefined;
  readonly clientId: string;
  readonly mount?: string | undefined;
  readonly address: string;
}

export function judge(
  rules: readonly AccessRule[],
  asker: Asker,
  action: AccessAction,
  topicOrFilter: string,
): boolean {
  if (action === 'subscribe')
    return readableBy(readRules(rules, asker), topicOrFilter) !== 'nothing';
  for (const rule of rules) {
    if (rule.action === 'subscribe' || !isMeant(rule.who, asker)) continue;
    const filter = filledFilter(rule.filter, asker, rule.allow);
    if (filter !== undefined && matches(filter, topicOrFilter)) return rule.allow;
  }
  return false;
}

/** Rules to read that apply to the asker, with its names filled in. */
function readRules(rules: readonly AccessRule[], asker: Asker): ReadRules {
  const own: ReadRule[] = [];
  for (const rule of rules) {
    if (rule.action === 'publish' || !isMeant(rule.who, asker)) continue;
    const filter = filledFilter(rule.filter, asker, rule.allow);
    if (filter !== undefined) own.push({ allow: rule.allow, filter });
  }
  return { rules: own, otherwise: false };
}

function isMeant(who: Who, asker: Asker): boolean {
  switch (who.kind) {
    case 'all':
      return true;
    case 'user':
      return asker.user !== undefined && (who.name === '*' || who.name === asker.user);
    case 'client':
      return who.id === '*' || who.id === asker.clientId;
    case 'address':
      return isWithin(who.network, asker.address);
  }
}

const linePattern =
  /^(?<verdict>\S+)\s+(?<who>(?:[a-z]+=)?(?:"(?:[^"\\]|\\["\\])*"|[^\s"]+))\s+(?<action>\S+)\s+(?<filter>\S.*)$/u;

/** The lines of a file of access rules. */
export class AccessRuleLines implements LineParser<readonly AccessRule[]> {
  readonly #rules: AccessRule[] = [];

  line(text: string, number: number): void {
    const line = text.trim();
    if (line === '' || line.startsWith('#')) return;
    this.#rules.push(parseRule(line, number));
  }

  parsed(): Parsed<readonly AccessRule[]> {
    return { value: this.#rules, entries: this.#rules.length };
  }
}

function parseRule(line: string, number: number): AccessRule {
  const match = linePattern.exec(line)?.groups;
  if (match === undefined)
    throw new LineError(number, 'not `allow|deny WHO publish|subscribe|all FILTER`');
  const { verdict, who, action, filter } = match;
  if (verdict !== 'allow' && verdict !== 'deny')
    throw new LineError(number, 'begins neither with `allow` nor with `deny`');
  if (action !== 'publish' && action !== 'subscribe' && action !== 'all')
    throw new LineError(number, 'the action is none of `publish`, `subscribe` and `all`');
  return {
    allow: verdict === 'allow',
    who: parseWho(who!, number),
    action,
    filter: parseFilter(filter!, number),
  };
}

function parseWho(text: string, number: number): Who {
  if (text === 'all') return { kind: 'all' };
  const [, key, written] = /^([a-z]+)=(.+)$/su.exec(text) ?? [];
  const value = written?.startsWith('"')
    ? written.slice(1, -1).replace(/\\(["\\])/g, '$1')
    : written;
  if (value !== undefined && key === 'user') return { kind: 'user', name: value };
  if (value !== undefined && key === 'client') return { kind: 'client', id: value };
  if (value !== undefined && key === 'address')
    return { kind: 'address', network: parseNetwork(value, number) };
  throw new LineError(number, 'who is meant is none of user=, client=, address= and `all`');
}

function parseNetwork(text: string, number: number): BlockList {
  const network = networkOf(text);
  if (network === undefined)
    throw new LineError(number, 'not an IP address or a network such as 10.0.0.0/8');
  return network;
}

function parseFilter(text: string, number: number): readonly FilterPiece[] {
  const pieces = filterPieces(text);
  if (pieces === undefined) throw new LineError(number, 'a % is followed by none of c, u, m and %');
  const sample = sampleFilter(pieces);
  if (!isValidTopicFilter(sample)) throw new LineError(number, 'not a valid topic filter');
  if (parseSharedFilter(sample) !== undefined)
    throw new LineError(number, 'a rule is for the filter inside of $share/{group}/');
  return pieces;
}
