// Modules for AUTH_MODULE. Their files go when the process does.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string | undefined;
let fileCount = 0;

/** Path of a file with this text, in a folder of its own kind. */
export function moduleFileOf(text: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'lmqtt-module-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  fileCount += 1;
  const path = join(folder, `module-${fileCount}.mjs`);
  writeFileSync(path, text);
  return path;
}
