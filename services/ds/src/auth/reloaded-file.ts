// A text file that is parsed again whenever it changes. Hides when that happens; the value is
// always that of a whole, valid file: one that cannot be read is reported and read again until it
// can be, one that cannot be parsed is reported and read again when it changes, and meanwhile the
// value before stays.

import { readFile } from 'node:fs/promises';
import { inPortions } from '@lmqtt/common/in-portions';
import { type Reading, WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';

/**
 * Result of reading a file, for the log. The reason names a line and what is wrong there, never its
 * content.
 */
export type FileOutcome =
  | { readonly kind: 'read'; readonly path: string; readonly entries: number }
  | { readonly kind: 'refused'; readonly path: string; readonly reason: string };

export interface Parsed<T> {
  readonly value: T;
  readonly entries: number;
}

export interface ReloadOptions extends WatchOptions {
  readonly report: (outcome: FileOutcome) => void;
}

/** Thrown by a parser. */
export class LineError extends Error {
  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.name = 'LineError';
  }
}

/** Takes the lines of a file one after another; throws a {@link LineError}. */
export interface LineParser<T> {
  line(text: string, number: number): void;
  /** After the last line. */
  parsed(): Parsed<T>;
}

/** The lines of a long file are parsed over some turns of the event loop. */
export async function parseLines<T>(text: string, parser: LineParser<T>): Promise<Parsed<T>> {
  let number = 0;
  await inPortions(text.split('\n'), (line) => {
    number += 1;
    parser.line(line, number);
  });
  return parser.parsed();
}

type Parse<T> = (text: string) => Parsed<T> | Promise<Parsed<T>>;

export class ReloadedFile<T> {
  readonly #path: string;
  readonly #parse: Parse<T>;
  readonly #report: (outcome: FileOutcome) => void;
  #watched: WatchedFiles | undefined = undefined;
  #value: T;
  #version = 1;
  readonly #listeners: (() => void)[] = [];

  /**
   * Rejects where the file cannot be read or parsed: a start without it would let the wrong ones
   * in.
   */
  static async open<T>(
    path: string,
    parse: Parse<T>,
    options: ReloadOptions,
  ): Promise<ReloadedFile<T>> {
    let file: ReloadedFile<T> | undefined;
    const { report } = options;
    const watched = await WatchedFiles.open(
      [path],
      {
        // A change before the first value counts as not read yet.
        read: () =>
          file === undefined ? Promise.reject(new Error('not read yet')) : file.#reload(),
        failed: (reason) => {
          if (file !== undefined) report({ kind: 'refused', path, reason });
        },
      },
      options,
    );
    try {
      const { value, entries } = await parse(await readFile(path, 'utf8'));
      file = new ReloadedFile(path, parse, report, value);
      file.#watched = watched;
      report({ kind: 'read', path, entries });
      return file;
    } catch (error) {
      watched.close();
      throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
    }
  }

  private constructor(
    path: string,
    parse: Parse<T>,
    report: (outcome: FileOutcome) => void,
    value: T,
  ) {
    this.#path = path;
    this.#parse = parse;
    this.#report = report;
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Grows with each value. */
  get version(): number {
    return this.#version;
  }

  /** Called after each new value. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  close(): void {
    this.#watched?.close();
  }

  async #reload(): Promise<Reading> {
    const text = await readFile(this.#path, 'utf8');
    let parsed: Parsed<T>;
    try {
      parsed = await this.#parse(text);
    } catch (error) {
      this.#report({ kind: 'refused', path: this.#path, reason: messageOf(error) });
      return 'unusable';
    }
    this.#value = parsed.value;
    this.#version += 1;
    this.#report({ kind: 'read', path: this.#path, entries: parsed.entries });
    for (const listener of this.#listeners) listener();
    return 'read';
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
