// `lmqtt passwd`: adds, changes, removes and lists the users of a password file. Hides how a file
// that a running broker reads is changed: the new one is written beside it, synced and renamed into
// place, readable by its owner only; its name is also the lock that keeps two runs from losing each
// other's change.

import { open, readFile, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { pause } from '@lmqtt/common/pause';
import { visible } from '@lmqtt/common/visible';
import {
  isUnknownUsersLine,
  makeEntry,
  makeUnknownUsersLine,
  nameEnd,
  parsePasswordFile,
  withAccountOf,
} from './password-entry.ts';
import { LineError } from './reloaded-file.ts';
import { readHidden, readLine, type TerminalInput } from './terminal.ts';

interface PasswdIo {
  readonly input: Readable & TerminalInput;
  readonly output: Writable;
  readonly errors: Writable;
}

const usage = `usage: npm run lmqtt -- passwd --file FILE COMMAND

  add USER       adds the user, or changes its password; asks for it on the terminal
  delete USER    removes the user
  list           prints the names of all users

  --file FILE    the password file; add makes it where there is none
  --stdin        the password is the first line of the standard input
  --help         this text
`;

const passwordBytesMax = 65_535;
const nameBytesMax = 65_535;
const lockTries = 50;
const lockWaitMs = 100;

/** Something to tell the user, in one line. */
class Refusal extends Error {}

/** Exit code: 0 done, 1 could not be done, 2 not understood. */
export async function runPasswd(
  args: string[],
  io: PasswdIo = { input: process.stdin, output: process.stdout, errors: process.stderr },
): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.output.write(usage);
    return 0;
  }
  const call = parseCall(args);
  if (typeof call === 'string') {
    io.errors.write(`${visible(call)}\n\n${usage}`);
    return 2;
  }
  try {
    if (call.command === 'list') await list(call.file, io);
    else if (call.command === 'delete') await remove(call.file, call.user, io);
    else await add(call.file, call.user, call.stdin, io);
    return 0;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const where = error instanceof LineError ? `${call.file}, ` : '';
    io.errors.write(`${where}${visible(error.message)}\n`);
    return 1;
  }
}

type Call =
  | { readonly command: 'list'; readonly file: string }
  | {
      readonly command: 'add' | 'delete';
      readonly file: string;
      readonly user: string;
      readonly stdin: boolean;
    };

function parseCall(args: string[]): Call | string {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { file: { type: 'string' }, stdin: { type: 'boolean', default: false } },
    });
    const [command, user, ...more] = positionals;
    const { file, stdin } = values;
    if (file === undefined || file === '') return 'which file? --file FILE';
    if (command === 'list' && user === undefined) return { command, file };
    if (command !== 'add' && command !== 'delete') return 'one of add USER, delete USER and list';
    if (user === undefined || more.length > 0) return `${command} takes the name of one user`;
    const problem = nameProblem(user);
    return problem ?? { command, file, user, stdin };
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}

function nameProblem(user: string): string | undefined {
  if (user.trim() === '') return 'the name is empty';
  if (user.startsWith('#')) return 'a name cannot begin with #, as comments do';
  if (/[\0\r\n]/.test(user)) return 'a name cannot have a line break or U+0000 in it';
  if (user.includes(':$scrypt$')) return 'a name cannot have :$scrypt$ in it';
  if (Buffer.byteLength(user) > nameBytesMax) return 'the name is longer than MQTT can carry';
  return undefined;
}

async function add(file: string, user: string, fromInput: boolean, io: PasswdIo): Promise<void> {
  const password = fromInput
    ? await readLine(io.input, passwordBytesMax)
    : await askTwice(user, io);
  if (password === '') throw new Refusal('the password is empty');
  if (Buffer.byteLength(password) > passwordBytesMax)
    throw new Refusal('the password is longer than MQTT can carry');
  const entry = await makeEntry(user, password);
  let known = false;
  await change(file, 'make', (lines) => {
    const at = lines.findIndex((line) => isOf(line, user));
    known = at !== -1;
    return known ? lines.with(at, withAccountOf(lines[at]!, entry)) : [...lines, entry];
  });
  const shown = visible(user);
  io.output.write(known ? `changed the password of ${shown}\n` : `added ${shown}\n`);
}

async function askTwice(user: string, io: PasswdIo): Promise<string> {
  if (io.input.isTTY !== true)
    throw new Refusal('there is no terminal to ask for the password; give it with --stdin');
  const first = await readHidden(io.input, io.output, `password of ${visible(user)}: `);
  const second = await readHidden(io.input, io.output, 'once more: ');
  if (first !== second) throw new Refusal('these are not the same; nothing was changed');
  return first;
}

async function remove(file: string, user: string, io: PasswdIo): Promise<void> {
  await change(file, 'must exist', (lines) => {
    const kept = lines.filter((line) => !isOf(line, user));
    if (kept.length === lines.length) throw new Refusal(`there is no user ${user} in ${file}`);
    return kept;
  });
  io.output.write(`removed ${visible(user)}\n`);
}

async function list(file: string, io: PasswdIo): Promise<void> {
  const { value } = parsePasswordFile(await readFile(file, 'utf8'), Infinity);
  for (const name of value.lines.keys()) io.output.write(`${visible(name)}\n`);
}

function isOf(line: string, user: string): boolean {
  return nameEnd(line) === user.length && line.startsWith(user) && !line.startsWith('#');
}

async function change(
  file: string,
  absent: 'make' | 'must exist',
  edit: (lines: string[]) => string[],
): Promise<void> {
  // A link stays a link, and what it points to is replaced.
  const target = await realpath(file).catch(() => file);
  const fresh = join(dirname(target), `.${basename(target)}.new`);
  const handle = await lock(fresh);
  try {
    try {
      const old = await readIfThere(target);
      if (old === undefined && absent === 'must exist') throw new Refusal(`there is no ${file}`);
      const text = edited(old ?? '', edit);
      // Neither a file that was broken before nor a fault of ours is written.
      parsePasswordFile(text, Infinity);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, target);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  const folder = await open(dirname(target));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function edited(old: string, edit: (lines: string[]) => string[]): string {
  const lines = old.split(/\r?\n/);
  while (lines.at(-1) === '') lines.pop();
  const now = edit(lines);
  if (!now.some(isUnknownUsersLine)) now.unshift(makeUnknownUsersLine());
  return `${now.join('\n')}\n`;
}

async function lock(path: string): ReturnType<typeof open> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
      if (tries === lockTries)
        throw new Refusal(
          `${path} is there: another run is at work, or one was killed and the file is to be removed`,
          { cause: error },
        );
      await pause(lockWaitMs);
    }
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
