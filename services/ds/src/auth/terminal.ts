// Reading one line from a person, unseen, or from a program.

import type { Readable, Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/** The part of a terminal's stream that is needed beyond an ordinary one. */
export interface TerminalInput {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
}

const enter = new Set(['\r', '\n']);
const erase = new Set(['\b', '\x7f']);
const interrupt = '\x03';
const endOfInput = '\x04';

/** A line that is not shown while it is typed. Rejects where it is broken off. */
export async function readHidden(
  input: Readable & TerminalInput,
  output: Writable,
  prompt: string,
): Promise<string> {
  output.write(prompt);
  input.setRawMode?.(true);
  input.resume();
  const decoder = new StringDecoder('utf8');
  const typed: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const stop = (error?: Error): void => {
        input.off('data', take).off('end', end);
        if (error === undefined) resolve();
        else reject(error);
      };
      const end = (): void => stop(new Error('broken off'));
      const take = (chunk: Buffer): void => {
        for (const character of decoder.write(chunk)) {
          if (enter.has(character)) return stop();
          if (character === interrupt || character === endOfInput) return end();
          if (erase.has(character)) typed.pop();
          else typed.push(character);
        }
      };
      input.on('data', take).on('end', end);
    });
  } finally {
    input.setRawMode?.(false);
    input.pause();
    output.write('\n');
  }
  return typed.join('');
}

/** The first line, without its end. Rejects where it is longer than so many bytes. */
export async function readLine(input: Readable, bytesMax: number): Promise<string> {
  let line = Buffer.alloc(0);
  for await (const chunk of input) {
    line = Buffer.concat([line, Buffer.from(chunk)]);
    if (line.includes(0x0a)) break;
    if (line.length > bytesMax + 2) throw new Error(`the line is longer than ${bytesMax} bytes`);
  }
  const end = line.indexOf(0x0a);
  const text = line.subarray(0, end === -1 ? line.length : end).toString();
  return text.endsWith('\r') ? text.slice(0, -1) : text;
}
