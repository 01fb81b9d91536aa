// The rules that came with an identity, and filters that a client asks for.

import type { ReadRule } from '@lmqtt/common/read-rights';
import { matches, parseSharedFilter } from '@lmqtt/common/topic';
import type { AccessAction, PrincipalRule } from './auth-provider.ts';

/** Whether the topic may be published to by these rules; undefined where none of them fits. */
export function publishVerdict(
  rules: readonly PrincipalRule[],
  topic: string,
): boolean | undefined {
  for (const { action, allow, filter } of rules)
    if (action !== 'subscribe' && matches(filter, topic)) return allow;
  return undefined;
}

export function readRulesOf(rules: readonly PrincipalRule[]): ReadRule[] {
  return rules.filter(({ action }) => action !== 'publish');
}

/** The topic or filter behind `$share/{group}/`; undefined where that is malformed. */
export function withoutShare(action: AccessAction, topicOrFilter: string): string | undefined {
  if (action === 'publish') return topicOrFilter;
  const shared = parseSharedFilter(topicOrFilter);
  if (shared === 'malformed') return undefined;
  return shared === undefined ? topicOrFilter : shared.filter;
}
