// Programs of others that tests start.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Servers are often outside a user's PATH. */
const more = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin'];

/** Path of the program, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...more]) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Path of the program, or an error. */
export function mustFindProgram(name: string): string {
  const file = findProgram(name);
  if (file === undefined) throw new Error(`${name} not found`);
  return file;
}
