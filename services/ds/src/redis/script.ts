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
  const file = join('scripts', `${name}.lua`);
  const here = join(directory, file);
  const compiled = `${sep}dist${sep}src`;
  const at = directory.lastIndexOf(compiled);
  const path =
    at === -1 || existsSync(here)
      ? here
      : join(directory.slice(0, at), 'src', directory.slice(at + compiled.length), file);
  const source = readFileSync(path, 'utf8');
  return { name, source, sha1: createHash('sha1').update(source).digest('hex') };
}
