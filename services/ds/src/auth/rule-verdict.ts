// How one filter of a rule meets one question. Allowing and denying are not mirror images where wildcards are asked for:
// a subscription is allowed by a rule that covers all of it, and denied by one that touches any of it, or `#` would get
// around every denial.

import { covers, matches, overlaps, parseSharedFilter } from '@lmqtt/common/topic';
import type { AccessAction, PrincipalRule } from './auth-provider.ts';

export function fits(
  allow: boolean,
  filter: string,
  action: AccessAction,
  topicOrFilter: string,
): boolean {
  if (action === 'publish') return matches(filter, topicOrFilter);
  return allow ? covers(filter, topicOrFilter) : overlaps(filter, topicOrFilter);
}

/** The rules that came with an identity; undefined where none of them fits. */
export function verdictOf(
  rules: readonly PrincipalRule[],
  action: AccessAction,
  topicOrFilter: string,
): boolean | undefined {
  for (const rule of rules) {
    if (rule.action !== 'all' && rule.action !== action) continue;
    if (fits(rule.allow, rule.filter, action, topicOrFilter)) return rule.allow;
  }
  return undefined;
}

/** What is asked for behind `$share/{group}/`; undefined where that is malformed. */
export function withoutShare(action: AccessAction, topicOrFilter: string): string | undefined {
  if (action === 'publish') return topicOrFilter;
  const shared = parseSharedFilter(topicOrFilter);
  if (shared === 'malformed') return undefined;
  return shared === undefined ? topicOrFilter : shared.filter;
}
