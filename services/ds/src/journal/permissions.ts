import * as fs from 'node:fs';
import { join } from 'node:path';

const folderMode = 0o750;
export const fileMode = 0o640;
const folders = ['log', 'state', 'holders'];
/** DATA_DIR may be a folder that others use as well; then only what is in it is ours. */
const ownNames = new Set([...folders, 'lock', 'lost+found']);

/**
 * Closes folders and files to other users that a broker with a wider umask, or an older one, left
 * open to them: messages, sessions and retained payloads are nobody else's. Files that belong to
 * another user stay as they are.
 */
export async function closeToOthers(directory: string): Promise<void> {
  const names = await fs.promises.readdir(directory);
  if (names.every((name) => ownNames.has(name))) await restrict(directory, folderMode);
  for (const name of names) {
    const path = join(directory, name);
    if (name === 'lock') await restrict(path, fileMode);
    if (!folders.includes(name)) continue;
    await restrict(path, folderMode);
    if (name === 'holders') continue;
    for (const file of await fs.promises.readdir(path)) await restrict(join(path, file), fileMode);
  }
}

/** Removes permission bits from a file, and adds none. */
async function restrict(path: string, mode: number): Promise<void> {
  try {
    const now = (await fs.promises.lstat(path)).mode & 0o777;
    if ((now & ~mode) === 0) return;
    await fs.promises.chmod(path, now & mode);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'EPERM' && code !== 'ENOENT' && code !== 'EROFS') throw error;
  }
}
