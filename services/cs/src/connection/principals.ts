const keptMax = 1024;
const kept: Map<string, string> = new Map();

/** Equal names of many clients are one string: each would come as its own over the link. */
export function interned(principal: string): string {
  const present = kept.get(principal);
  if (present !== undefined) return present;
  if (kept.size >= keptMax) kept.clear();
  kept.set(principal, principal);
  return principal;
}

/** The namespace that ds has given the client; '': it has none. */
export function mountIn(principal: string): string {
  if (!principal.includes('"mount"')) return '';
  return (JSON.parse(principal) as { readonly mount?: string }).mount ?? '';
}

/**
 * The user, with the account that has verified it, of a principal as ds gave it; '': none. All
 * clients without a user name count as one user.
 */
export function userIn(principal: string): string {
  if (principal === '') return '';
  const { user, account } = JSON.parse(principal) as { user?: string; account?: string };
  if (user === undefined) return '';
  return account === undefined ? user : `${user}\0${account}`;
}
