// The syntax of java.util.Properties: key=value, key: value or key value; comments with # and !;
// lines that a \ at their end continues; escapes, \uXXXX among them. White space behind a value
// belongs to it.

export interface Property {
  readonly key: string;
  readonly value: string;
  /** Number of its first line, from 1. */
  readonly line: number;
  /** Whether a \ stands before a character that needs none: perhaps it was meant as itself. */
  readonly needlessEscape: boolean;
}

export class PropertyError extends Error {
  override readonly name = 'PropertyError';
  readonly line: number;

  constructor(line: number, problem: string) {
    super(problem);
    this.line = line;
  }
}

interface LogicalLine {
  readonly text: string;
  readonly line: number;
}

const blank = /^[ \t\f]*/;
/** A \ that nothing before it makes an escape's second character. */
const continued = /(?:^|[^\\])(?:\\\\)*\\$/;
/** The key, then the separator with the white space around it. */
const split = /^((?:\\[^]|[^\\=: \t\f])*)(?:[ \t\f]*[=:][ \t\f]*|[ \t\f]+|$)/;
const escape = /\\(?:u([0-9a-fA-F]{4})|([^]|$))/g;
const named: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };
const needs = new Set(Array.from('tnrf\\:=#!"\' \t\f'));

function* logicalLines(text: string): Generator<LogicalLine> {
  let begun: { text: string; line: number } | undefined;
  for (const [index, natural] of text.split(/\r\n|\n|\r/).entries()) {
    const line = natural.replace(blank, '');
    // A continued line with nothing on it yet is none.
    if (begun?.text === '') begun = undefined;
    if (begun === undefined && (line === '' || line.startsWith('#') || line.startsWith('!')))
      continue;
    begun ??= { text: '', line: index + 1 };
    if (continued.test(line)) {
      begun.text += line.slice(0, -1);
      continue;
    }
    yield { text: begun.text + line, line: begun.line };
    begun = undefined;
  }
  if (begun !== undefined && begun.text !== '') yield begun;
}

function unescaped(text: string, line: number): string {
  return text.replaceAll(escape, (_, code: string | undefined, character: string) => {
    if (code !== undefined) return String.fromCharCode(parseInt(code, 16));
    if (character === 'u') throw new PropertyError(line, '\\u needs four hexadecimal digits');
    return named[character] ?? character;
  });
}

function isNeedless(text: string): boolean {
  return Array.from(text.matchAll(escape)).some(
    ([, code, character]) => code === undefined && !needs.has(character ?? ''),
  );
}

/**
 * The properties in the order of their lines, later ones of one key included. Throws PropertyError.
 */
export function readProperties(text: string): Property[] {
  return Array.from(logicalLines(text), ({ text: logical, line }) => {
    const [whole, key] = split.exec(logical) ?? ['', ''];
    const rest = logical.slice(whole.length);
    return {
      key: unescaped(key ?? '', line),
      value: unescaped(rest, line),
      line,
      needlessEscape: isNeedless(rest),
    };
  });
}

/** Text of a file: UTF-8 where it is, otherwise ISO 8859-1, which Java takes such files for. */
export function propertiesText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}
