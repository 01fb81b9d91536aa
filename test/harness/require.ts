// Programs that some suites need. Where one is absent its tests are skipped with a line that says
// what to install, except under CI, where that is an error.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const packageOf: Record<string, string> = {
  mosquitto: 'mosquitto',
  mosquitto_pub: 'mosquitto-clients',
  mosquitto_sub: 'mosquitto-clients',
  mosquitto_rr: 'mosquitto-clients',
  openssl: 'openssl',
};

/** Servers are often outside a user's PATH. */
const more = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin'];

/** Where the program is, or undefined. */
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

/** Test options: `test('…', requirePrograms('mosquitto_pub', 'mosquitto_sub'), async () => …)`. */
export function requirePrograms(...names: string[]): { skip: string | false } {
  const missing = names.filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return { skip: false };
  const install = [...new Set(missing.map((name) => packageOf[name] ?? name))].join(' ');
  const line = `${missing.join(', ')} not found; install ${install} (apt-get install ${install})`;
  if (process.env['CI'] === 'true') throw new Error(line);
  return { skip: line };
}
