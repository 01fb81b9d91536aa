// All loggers of a process, by name. JSON lines to stderr, for people when that is a terminal.
// Written without waiting: a reader of stderr that stops must not stop the broker, so lines past
// the buffer are dropped. Whatever is named like a secret is hidden, one level deep too. Control
// characters that a terminal would obey are escaped in both forms.
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';

import { destination, type DestinationStream, type Logger, pino } from 'pino';

import { visible, visibleInColour } from './visible.ts';

export type { Logger };

/** `connection`: one client; `session`, `store`, `auth`: those of ds; `broker`: start and stop. */
const loggerNames = [
  'auth',
  'broker',
  'connection',
  'listener',
  'ops',
  'retained',
  'session',
  'shared',
  'store',
  'will',
] as const;

type LoggerName = (typeof loggerNames)[number];
export type Logs = Readonly<Record<LoggerName, Logger>>;

const secretKeys = [
  'authenticationData',
  'authorization',
  'clusterSecret',
  'hmacSecretKey',
  'opsToken',
  'password',
  'payload',
  'redisUrl',
  'secret',
  'secretKey',
  'tlsKeyPassword',
  'token',
] as const;

const stderr = 2;
const bufferBytesMax = 16 * 1024 * 1024;

async function openStderr(): Promise<DestinationStream> {
  const sink = destination({ fd: stderr, sync: false, maxLength: bufferBytesMax });
  return isatty(stderr) ? forPeople((text) => sink.write(text)) : sink;
}

/**
 * Lines of a log as text, coloured where that is wanted. It reads JSON, in which what was escaped
 * is as it was.
 */
export async function forPeople(write: (text: string) => void): Promise<DestinationStream> {
  // Loaded only here: a broker without a terminal starts sooner.
  const { default: pretty } = await import('pino-pretty');
  const shown = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      write(visibleInColour(String(chunk)));
      done();
    },
  });
  const layout = { ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' };
  return pretty({ destination: shown, ...layout });
}

interface LogOptions {
  readonly level: string;
  /** Default: stderr. */
  readonly stream?: DestinationStream;
}

export async function openLogs(options: LogOptions): Promise<Logs> {
  return namedLogs(options.level, options.stream ?? (await openStderr()));
}

/** For programs that start parts of a broker and do not want to hear from them. */
export function silentLogs(): Logs {
  return namedLogs('silent', { write() {} });
}

/** From now on the least urgent lines that are written are of this level. */
export function setLogLevel(logs: Logs, level: string): void {
  for (const name of loggerNames) logs[name].level = level;
}

function namedLogs(level: string, stream: DestinationStream): Logs {
  const root = pino(
    {
      level,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secretKeys.flatMap((key) => [key, `*.${key}`]), censor: '[hidden]' },
    },
    { write: (line) => stream.write(visible(line)) },
  );
  return Object.fromEntries(
    loggerNames.map((name) => [name, root.child({ name })] as const),
  ) as Logs;
}
