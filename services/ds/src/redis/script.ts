import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';

/** A Lua script; its purpose, input and output are told at the head of its file. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

/**
 * Reads `scripts/<name>.lua` beside the caller's source; `directory` is its `import.meta.dirname`.
 * Compiled files lie in `dist/src`, while scripts stay in `src`.
 */
export function loadScript(directory: string, name: string): Script {
  return composedScript(directory, name, []);
}

/**
 * The script `name` behind parts that it shares with others: `scripts/<part>.lua`, in that order.
 */
export function composedScript(directory: string, name: string, parts: readonly string[]): Script {
  const source = [...parts, name].map((each) => sourceOf(directory, each)).join('\n');
  return { name, source, sha1: createHash('sha1').update(source).digest('hex') };
}

function sourceOf(directory: string, name: string): string {
  const file = join('scripts', `${name}.lua`);
  const here = join(directory, file);
  const compiled = `${sep}dist${sep}src`;
  const at = directory.lastIndexOf(compiled);
  const path =
    at === -1 || existsSync(here)
      ? here
      : join(directory.slice(0, at), 'src', directory.slice(at + compiled.length), file);
  return readFileSync(path, 'utf8');
}
