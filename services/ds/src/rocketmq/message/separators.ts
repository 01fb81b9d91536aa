// The characters that end names and values among RocketMQ's properties: in a value they would make
// properties of their own.

export const nameEnd = '\u0001';
export const valueEnd = '\u0002';

export function hasSeparator(text: string): boolean {
  return text.includes(nameEnd) || text.includes(valueEnd);
}

/** For texts that may hold them, such as client identifiers: with "\" before a digit instead. */
export function escaped(text: string): string {
  if (!text.includes('\\') && !hasSeparator(text)) return text;
  return text.replaceAll('\\', '\\\\').replaceAll(nameEnd, '\\1').replaceAll(valueEnd, '\\2');
}

export function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\([12\\])/g, (_, code: string) =>
    code === '1' ? nameEnd : code === '2' ? valueEnd : '\\',
  );
}
