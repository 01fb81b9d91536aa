// Which commands Redis gets, as MONITOR tells them: one line each with its time and its first
// arguments. What scripts do inside is told as well and left out. Redis is slower meanwhile, so
// this is for runs in which commands are counted and nothing is timed.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import { scripts as registryScripts } from '@lmqtt/ds/registry/redis/registry-scripts';
import { scripts as sessionScripts } from '@lmqtt/ds/session-store/redis/scripts';

export interface RedisCounts {
  /** Without the renewals of leases. */
  readonly commands: number;
  readonly leases: number;
  /** `session-store/write`, `registry/change`, `PING`: the most frequent first. */
  readonly byName: Readonly<Record<string, number>>;
}

interface Seen {
  readonly atMs: number;
  readonly name: string;
}

/** `1700000000.123456 [0 127.0.0.1:40000] "EVALSHA" "…"`; of a script's own: `[0 lua]`. */
const line = /^\+(\d+\.\d+) \[\d+ (\S+)\] "(\w+)"(?: "([^"]*)")?/;
const scriptCalls: ReadonlySet<string> = new Set(['EVALSHA', 'FCALL']);

const sources = join(import.meta.dirname, '../../../../services/ds/src');

/**
 * Names of scripts that are sent as they are; those of the registry and of sessions are composed.
 */
function scriptFiles(): (readonly [string, string])[] {
  const files = readdirSync(sources, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.lua'))
    .map((file) => {
      const sha1 = createHash('sha1').update(readFileSync(join(sources, file)));
      return [
        sha1.digest('hex'),
        file.replace('/redis/scripts/', '/').slice(0, -'.lua'.length),
      ] as const;
    });
}

const nameBySha = new Map<string, string>([
  ...scriptFiles(),
  ...Object.values(registryScripts).map(({ name, sha1 }) => [sha1, `registry/${name}`] as const),
  ...Object.values(sessionScripts).map(
    ({ name, sha1 }) => [sha1, `session-store/${name}`] as const,
  ),
]);
const leaseName = 'registry/renew';

function nameOf(command: string, argument: string): string {
  const name = command.toUpperCase();
  if (!scriptCalls.has(name)) return name;
  return nameBySha.get(argument) ?? `script ${argument}`;
}

export class RedisMonitor {
  readonly #socket: Socket;
  readonly #seen: Seen[] = [];
  #rest = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => this.#take(text));
  }

  /** Resolves when all that follows is seen. */
  static async start(port: number): Promise<RedisMonitor> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('MONITOR\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    if (!answer.toString().startsWith('+OK')) throw new Error(`MONITOR: ${answer.toString()}`);
    return new RedisMonitor(socket);
  }

  stop(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const each of lines) {
      const [, seconds = '', from = '', command = '', argument = ''] = line.exec(each) ?? [];
      if (from === '' || from === 'lua') continue;
      this.#seen.push({ atMs: Number(seconds) * 1000, name: nameOf(command, argument) });
    }
  }

  between(fromMs: number, toMs: number): RedisCounts {
    const counts = new Map<string, number>();
    for (const { atMs, name } of this.#seen) {
      if (atMs >= fromMs && atMs < toMs) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const leases = counts.get(leaseName) ?? 0;
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
    const byName = [...counts].toSorted(([, a], [, b]) => b - a);
    return { commands: all - leases, leases, byName: Object.fromEntries(byName) };
  }
}
