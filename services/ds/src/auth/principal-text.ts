import type { Principal } from './auth-provider.ts';
import type { SessionUser } from '../session-store/stored-session.ts';

/** The user that owns sessions which this principal claims. */
export function userOf({ user, account = '' }: Principal): SessionUser {
  if (user === undefined) return null;
  return account === '' ? user : `${user}\0${account}`;
}

/** As a cs keeps it, to present it to another ds; '' for an anonymous client. */
export function principalText(principal: Principal): string {
  const { user, rules, mount } = principal;
  const anonymous = user === undefined && rules === undefined && mount === undefined;
  return anonymous ? '' : JSON.stringify(principal);
}

/** Principal as a ds of this cluster has written it. */
export function principalOf(text: string): Principal {
  if (text === '') return { user: undefined };
  return { user: undefined, ...(JSON.parse(text) as Partial<Principal>) };
}
