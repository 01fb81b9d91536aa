// Text of strangers (client identifiers, user names, topics, reasons) as a terminal may show it:
// control characters of C0 and C1, those that turn the direction of writing or end a line, and lone
// surrogates become `\u` and four digits, which JSON reads as what they were. New line and tab
// stay.

const unsafe =
  // oxlint-disable-next-line no-control-regex -- these are what it looks for
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\p{Cs}]/gu;

/** The colours of a log for people, which are its own. */
const colour =
  // oxlint-disable-next-line no-control-regex -- these are what it looks for
  /^\x1b\[(?:0|1|2|22|[349]\d|10\d)m/;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export function visible(text: string): string {
  // Most text has none of them.
  return text.search(unsafe) === -1 ? text : text.replaceAll(unsafe, escaped);
}

/** Makes control characters visible as `visible` does, in text whose colour sequences stay. */
export function visibleInColour(text: string): string {
  return text.replaceAll(unsafe, (character, at: number) =>
    colour.test(text.slice(at, at + 6)) ? character : escaped(character),
  );
}
