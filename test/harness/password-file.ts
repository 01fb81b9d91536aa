// Password files whose checks cost what a test needs. They go when the process does.
import { randomBytes, scryptSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string | undefined;
let fileCount = 0;

/**
 * A file of these users, each with the binary logarithm of scrypt's N; their password is `right`.
 */
export function passwordFileOf(users: Readonly<Record<string, number>>): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'lmqtt-password-file-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  const hashes = new Map<number, string>();
  const hashOf = (logN: number): string => {
    const salt = randomBytes(16);
    const maxmem = 2 ** (logN + 11);
    const hash = scryptSync('right', salt, 32, { N: 2 ** logN, r: 8, p: 1, maxmem });
    return `$scrypt$ln=${logN},r=8,p=1$${salt.toString('base64')}$${hash.toString('base64')}`;
  };
  const lines = Object.entries(users).map(([user, logN]) => {
    const hash = hashes.get(logN) ?? hashOf(logN);
    hashes.set(logN, hash);
    return `${user}:${hash}`;
  });
  fileCount += 1;
  const path = join(folder, `users-${fileCount}`);
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
  return path;
}
