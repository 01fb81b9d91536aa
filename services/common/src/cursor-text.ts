// Cursors as text, with numbers in base 36: for each partition its number, start and position, then
// the done offsets as gap or gap*run, from the position.
import { Cursor } from './cursor.ts';

function digits(number: number): string {
  return number.toString(36);
}

function number(text: string | undefined): number {
  return Number.parseInt(text ?? '', 36);
}

export function cursorsText(cursors: readonly Cursor[]): string {
  return cursors.map(cursorText).join(';');
}

function cursorText({ partition, start, position, done }: Cursor): string {
  let text = `${digits(partition)} ${digits(start)} ${digits(position)}`;
  let next = position;
  for (let at = 0; at < done.length;) {
    const first = done[at]!;
    let run = 1;
    while (done[at + run] === first + run) run += 1;
    text += ` ${digits(first - next)}${run === 1 ? '' : `*${digits(run)}`}`;
    next = first + run;
    at += run;
  }
  return text;
}

export function cursorsOf(text: string): Cursor[] {
  if (text === '') return [];
  return text.split(';').map((one) => {
    const [partition, start, position, ...runs] = one.split(' ');
    const done: number[] = [];
    let next = number(position);
    for (const part of runs) {
      const [gap, run] = part.split('*', 2);
      next += number(gap);
      for (let left = run === undefined ? 1 : number(run); left > 0; left -= 1) {
        done.push(next);
        next += 1;
      }
    }
    return new Cursor(number(partition), number(start), number(position), done);
  });
}
