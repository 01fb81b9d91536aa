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
