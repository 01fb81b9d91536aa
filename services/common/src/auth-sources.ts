// Sources of users, by the names that a listener has for them. Hides how several of them travel from
// a connection node to a dispatch node: as one text with commas.

export const authSources = [
  'certificate',
  'token',
  'hmac',
  'password',
  'redis',
  'http',
  'module',
  'anonymous',
] as const;

export type AuthSource = (typeof authSources)[number];

/** Whether a listener that names its sources asks this one; undefined: it asks all. */
export function asksSource(listed: string | undefined, source: AuthSource): boolean {
  return listed === undefined || listed.split(',').includes(source);
}
