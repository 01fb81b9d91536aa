export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const textOrBareKey = /"(?:[^"\\]|\\.)*"|([{,]\s*)(-?\d+)(\s*:)/g;

/** JSON as RocketMQ's name server writes it: numbers that are keys may lack their quotes. */
export function parseTolerantly(text: string): unknown {
  const strict = text.replace(
    textOrBareKey,
    (whole: string, before?: string, key?: string, colon?: string) =>
      key === undefined ? whole : `${before}"${key}"${colon}`,
  );
  return JSON.parse(strict);
}

/** The members of an object that are objects. */
export function recordsIn(
  value: unknown,
): (readonly [string, Readonly<Record<string, unknown>>])[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, each]) => (isRecord(each) ? [[key, each]] : []));
}

/** The objects of a list. */
export function recordsOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter((each) => isRecord(each)) : [];
}

/** The members of an object that are text. */
export function textsIn(value: unknown): Map<string, string> {
  const texts = new Map<string, string>();
  if (!isRecord(value)) return texts;
  for (const [key, each] of Object.entries(value)) {
    if (typeof each === 'string') texts.set(key, each);
  }
  return texts;
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
