import { statSync } from 'node:fs';

/** For each file of secrets that every user of the machine can read: a line that says so. */
export function readableByOthers(files: Readonly<Record<string, string | null>>): string[] {
  const lines: string[] = [];
  for (const [name, path] of Object.entries(files)) {
    if (path === null) continue;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || (stat.mode & 0o004) === 0) continue;
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    lines.push(
      `${name} ${path} can be read by every user of this machine (${mode}): chmod o= ${path}`,
    );
  }
  return lines;
}
