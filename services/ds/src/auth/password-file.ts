// Users from a file (its format: password-entry.ts) that is read again when it changes. Hides what makes scrypt bearable when
// many clients come back at once: a bounded number of checks runs on the thread pool, equal ones that run at the same time
// are one, and a password that was right is remembered for a while, as an HMAC under a key that never leaves this process.
// What is remembered includes the user's stored hash, so a changed entry is not taken for the one before.

import { createHmac, randomBytes } from 'node:crypto';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';
import {
  decodeEntry,
  isPasswordOf,
  makeHashOfNothing,
  parsePasswordFile,
  type PasswordHash,
  type PasswordTable,
} from './password-entry.ts';
import { ReloadedFile, type ReloadOptions } from './reloaded-file.ts';
import { scramIterationsMin, scramKeyBytes, type ScramKeys } from './scram-keys.ts';
import type { ScramUsers } from './scram-sha-256.ts';

export interface PasswordFileOptions extends ReloadOptions {
  readonly usersMax: number;
  /** Checks at one time; each takes a thread of the pool and its memory. */
  readonly checksMax?: number;
  /** Checks that wait for their turn; beyond it a client is refused with 0x89. */
  readonly waitingMax?: number;
  readonly rememberedMax?: number;
  readonly rememberedMs?: number;
}

const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

export class PasswordFile implements Authenticator, ScramUsers {
  readonly #file: ReloadedFile<PasswordTable>;
  readonly #turns: Turns;
  readonly #rememberedMax: number;
  readonly #rememberedMs: number;
  readonly #processKey = randomBytes(32);
  readonly #unknownUsersKey = randomBytes(scramKeyBytes);
  readonly #hashOfNothing = makeHashOfNothing();
  /** Right passwords to when they are forgotten; the oldest first. */
  readonly #remembered = new Map<string, number>();
  readonly #running = new Map<string, Promise<boolean | 'busy'>>();

  /** Rejects where the file cannot be read or has an error. */
  static async open(path: string, options: PasswordFileOptions): Promise<PasswordFile> {
    const parse = (text: string): ReturnType<typeof parsePasswordFile> =>
      parsePasswordFile(text, options.usersMax);
    return new PasswordFile(await ReloadedFile.open(path, parse, options), options);
  }

  private constructor(file: ReloadedFile<PasswordTable>, options: PasswordFileOptions) {
    this.#file = file;
    this.#turns = new Turns(options.checksMax ?? 2, options.waitingMax ?? 2000);
    this.#rememberedMax = options.rememberedMax ?? 100_000;
    this.#rememberedMs = options.rememberedMs ?? 300_000;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { userName, password } = request;
    if (userName === undefined) return { kind: 'pass' };
    const line = this.#file.value.lines.get(userName);
    if (password === undefined) return line === undefined ? { kind: 'pass' } : wrong;
    const hash = line === undefined ? this.#hashOfNothing : decodeEntry(line).password;
    try {
      const right = await this.#isRight(hash, password);
      if (right === 'busy') return busy;
      // The same work was done as for a user that is known.
      if (line === undefined) return { kind: 'pass' };
      return right ? { kind: 'allow', principal: { user: userName } } : wrong;
    } catch {
      return { kind: 'deny', reasonCode: ReasonCode.serverUnavailable };
    }
  }

  scramKeys(user: string): ScramKeys | undefined {
    const line = this.#file.value.lines.get(user);
    return line === undefined ? undefined : decodeEntry(line).scram;
  }

  get unknownUsersKey(): Buffer {
    return this.#file.value.unknownUsersKey ?? this.#unknownUsersKey;
  }

  get scramIterations(): number {
    return scramIterationsMin;
  }

  close(): void {
    this.#file.close();
  }

  #isRight(hash: PasswordHash, password: Buffer): Promise<boolean | 'busy'> | boolean {
    const mac = createHmac('sha256', this.#processKey);
    mac.update(`${hash.salt.length} ${hash.hash.length} `).update(hash.salt).update(hash.hash);
    const memory = mac.update(password).digest('base64');
    const until = this.#remembered.get(memory);
    if (until !== undefined && performance.now() < until) return true;
    const running = this.#running.get(memory);
    if (running !== undefined) return running;
    const check = this.#check(hash, password, memory);
    this.#running.set(memory, check);
    return check;
  }

  async #check(hash: PasswordHash, password: Buffer, memory: string): Promise<boolean | 'busy'> {
    try {
      const right = await this.#turns.take(() => isPasswordOf(hash, password));
      if (right === true) this.#remember(memory);
      return right;
    } finally {
      this.#running.delete(memory);
    }
  }

  #remember(memory: string): void {
    // Anew at the end, so that the first is always the oldest.
    this.#remembered.delete(memory);
    this.#remembered.set(memory, performance.now() + this.#rememberedMs);
    for (const [oldest, until] of this.#remembered) {
      if (this.#remembered.size <= this.#rememberedMax && until > performance.now()) break;
      this.#remembered.delete(oldest);
    }
  }
}

/** So many at once, so many waiting, and no more. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #waitingMax: number;
  #free: number;

  constructor(atOnce: number, waitingMax: number) {
    this.#free = atOnce;
    this.#waitingMax = waitingMax;
  }

  async take<T>(work: () => Promise<T>): Promise<T | 'busy'> {
    if (this.#free === 0) {
      if (this.#waiting.length >= this.#waitingMax) return 'busy';
      // The turn is handed over, not freed and taken.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
