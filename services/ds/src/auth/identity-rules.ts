// Rules that come with an identity, from a claim of a token or the answer of an HTTP server, as
// JSON in one of two forms:
//
//   {"pub": [FILTER, …], "sub": [FILTER, …], "all": [FILTER, …]}
//       what is named is allowed, and everything else is denied
//   [{"permission": "allow"|"deny", "action": "publish"|"subscribe"|"all", "topic": FILTER}, …]
//       the first that fits decides, and where none fits, the common rules do
//
// A FILTER is a topic filter, in which %u, %c, ${username} and ${clientid} stand for names.

import { isValidTopicFilter, parseSharedFilter } from '@lmqtt/common/topic';
import type { Principal, PrincipalRule } from './auth-provider.ts';
import { filledFilter, filterPieces, type Names, sampleFilter } from './filled-filter.ts';

type IdentityRules = Pick<Principal, 'rules' | 'rulesOnly'>;

/** Number of rules that one identity may bring. */
const rulesMax = 1000;

/** Rights of a superuser: everything except publishing below `$SYS/`. */
export const superuserRules: IdentityRules = {
  rules: [
    { allow: true, action: 'all', filter: '#' },
    { allow: true, action: 'subscribe', filter: '$SYS/#' },
  ],
};

/** Undefined: the value is in neither form, so that nobody knows what was meant. */
export function identityRules(value: unknown, names: Names): IdentityRules | undefined {
  if (Array.isArray(value)) return ruleList(value, names);
  if (typeof value !== 'object' || value === null) return undefined;
  const rules: PrincipalRule[] = [];
  for (const [key, filters] of Object.entries(value)) {
    const action = actionOf(key);
    const texts: unknown = typeof filters === 'string' ? [filters] : filters;
    if (action === undefined || !Array.isArray(texts)) return undefined;
    for (const text of texts) if (!add(rules, true, action, text, names)) return undefined;
  }
  return { rules, rulesOnly: true };
}

function ruleList(list: readonly unknown[], names: Names): IdentityRules | undefined {
  const rules: PrincipalRule[] = [];
  for (const one of list) {
    if (typeof one !== 'object' || one === null) return undefined;
    const { permission, action, topic, topics } = one as Record<string, unknown>;
    const asked = typeof action === 'string' ? actionOf(action) : undefined;
    if ((permission !== 'allow' && permission !== 'deny') || asked === undefined) return undefined;
    const texts: unknown = topics ?? topic;
    for (const text of Array.isArray(texts) ? (texts as unknown[]) : [texts])
      if (!add(rules, permission === 'allow', asked, text, names)) return undefined;
  }
  return { rules };
}

/** False: the filter is none, or there are too many. */
function add(
  rules: PrincipalRule[],
  allow: boolean,
  action: PrincipalRule['action'],
  text: unknown,
  names: Names,
): boolean {
  if (typeof text !== 'string' || rules.length >= rulesMax) return false;
  const written = text.replaceAll('${username}', '%u').replaceAll('${clientid}', '%c');
  const pieces = filterPieces(written);
  // The namespace of the client is not known yet.
  if (pieces?.every((piece) => typeof piece === 'string' || piece.of !== 'mount') !== true)
    return false;
  const sample = sampleFilter(pieces);
  if (!isValidTopicFilter(sample) || parseSharedFilter(sample) !== undefined) return false;
  const filter = filledFilter(pieces, names, allow);
  if (filter !== undefined) rules.push({ allow, action, filter });
  return true;
}

function actionOf(text: string): PrincipalRule['action'] | undefined {
  switch (text) {
    case 'pub':
    case 'publish':
      return 'publish';
    case 'sub':
    case 'subscribe':
      return 'subscribe';
    case 'all':
    case 'pubsub':
      return 'all';
    default:
      return undefined;
  }
}
