// Users from a file (its format: password-entry.ts) that is read again when it changes. Hides what
// makes scrypt bearable when many clients come back at once: a bounded number of checks runs on the
// thread pool, addresses take turns, equal ones of one address that run at the same time are one,
// and a password that was right is remembered for a while, as an HMAC under a key that never leaves
// this process. That HMAC covers the user's name and stored hash, so a changed entry is not taken
// for the one before. A user that does not exist is checked against a hash of his own, at the cost
// of other users'.

import { systemClock } from '@lmqtt/common/clock';
import { createHmac, randomBytes } from 'node:crypto';
import { addressGroup } from '@lmqtt/common/address-group';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  Accounts,
  AuthDecision,
  Authenticator,
  AuthRequest,
  Principal,
} from './auth-provider.ts';
import { CheckTurns } from './check-turns.ts';
import {
  accountOf,
  decodeEntry,
  hashOfNobody,
  isPasswordOf,
  PasswordLines,
  type PasswordHash,
  type PasswordTable,
  scramOfNobody,
  unknownUsersKeyBytes,
} from './password-entry.ts';
import { type Parsed, parseLines, ReloadedFile, type ReloadOptions } from './reloaded-file.ts';
import type { ScramHash, ScramKeys } from './scram-keys.ts';
import type { ScramUsers } from './scram.ts';

export interface PasswordFileOptions extends ReloadOptions {
  readonly usersMax: number;
  /** Checks at one time; each takes a thread of the pool and its memory. */
  readonly checksMax?: number;
  /**
   * Maximum number of checks that wait for their turn; past it one of the address with the most is
   * refused with 0x89.
   */
  readonly waitingMax?: number;
  readonly onFull?: () => void;
  /** A replacement of scrypt, for tests that count checks. */
  readonly isPasswordOf?: typeof isPasswordOf;
  readonly rememberedMax?: number;
  readonly rememberedMs?: number;
}

const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };

export class PasswordFile implements Authenticator, Accounts, ScramUsers {
  readonly #file: ReloadedFile<PasswordTable>;
  readonly #turns: CheckTurns;
  readonly #isPasswordOf: typeof isPasswordOf;
  readonly #rememberedMax: number;
  readonly #rememberedMs: number;
  readonly #processKey = randomBytes(32);
  readonly #unknownUsersKey = randomBytes(unknownUsersKeyBytes);
  /** Right passwords to when they are forgotten; the oldest first. */
  readonly #remembered = new Map<string, number>();
  readonly #running = new Map<string, Running>();

  /** Rejects where the file cannot be read or has an error. */
  static async open(path: string, options: PasswordFileOptions): Promise<PasswordFile> {
    const parse = (text: string): Promise<Parsed<PasswordTable>> =>
      parseLines(text, new PasswordLines(options.usersMax));
    return new PasswordFile(await ReloadedFile.open(path, parse, options), options);
  }

  private constructor(file: ReloadedFile<PasswordTable>, options: PasswordFileOptions) {
    this.#file = file;
    this.#turns = new CheckTurns({
      atOnce: options.checksMax ?? 2,
      waitingMax: options.waitingMax ?? 2000,
      ...(options.onFull === undefined ? {} : { onFull: options.onFull }),
    });
    this.#isPasswordOf = options.isPasswordOf ?? isPasswordOf;
    this.#rememberedMax = options.rememberedMax ?? 100_000;
    this.#rememberedMs = options.rememberedMs ?? 300_000;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { userName, password } = request;
    if (userName === undefined) return { kind: 'pass' };
    const line = this.#file.value.lines.get(userName);
    if (password === undefined) return line === undefined ? { kind: 'pass' } : wrong;
    const hash = line === undefined ? this.#hashOfNobody(userName) : decodeEntry(line).password;
    try {
      const right = await this.#isRight(request, userName, hash, password);
      if (right === 'busy') return busy;
      // The same work was done as for a user that is known.
      if (line === undefined) return { kind: 'pass' };
      return right
        ? { kind: 'allow', principal: { user: userName, account: accountOf(line) } }
        : wrong;
    } catch {
      return { kind: 'deny', reasonCode: ReasonCode.serverUnavailable };
    }
  }

  scramKeys(user: string, hash: ScramHash): ScramKeys | undefined {
    const line = this.#file.value.lines.get(user);
    return line === undefined ? undefined : decodeEntry(line).scram[hash];
  }

  scramOfNobody(user: string, hash: ScramHash): Pick<ScramKeys, 'salt' | 'iterations'> {
    return scramOfNobody(hash, this.#file.value.kinds, this.#keyOfNobody, user);
  }

  /** Checks that wait for their turn. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  principal(user: string): Principal | undefined {
    const line = this.#file.value.lines.get(user);
    return line === undefined ? undefined : { user, account: accountOf(line) };
  }

  has(user: string, account: string): boolean {
    const line = this.#file.value.lines.get(user);
    return line !== undefined && accountOf(line) === account;
  }

  onChange(listener: () => void): void {
    this.#file.onChange(listener);
  }

  close(): void {
    this.#file.close();
  }

  #hashOfNobody(user: string): PasswordHash {
    return hashOfNobody(this.#file.value.kinds, this.#keyOfNobody, user);
  }

  get #keyOfNobody(): Buffer {
    return this.#file.value.unknownUsersKey ?? this.#unknownUsersKey;
  }

  #isRight(
    request: AuthRequest,
    user: string,
    hash: PasswordHash,
    password: Buffer,
  ): Promise<boolean | 'busy'> | boolean {
    const name = Buffer.from(user);
    const mac = createHmac('sha256', this.#processKey);
    mac.update(`${name.length} ${hash.salt.length} ${hash.hash.length} `).update(name);
    const memory = mac.update(hash.salt).update(hash.hash).update(password).digest('base64');
    const until = this.#remembered.get(memory);
    if (until !== undefined && systemClock.monotonicMs() < until) return true;
    const address = addressGroup(request.peer.address);
    const isWanted = request.isWanted ?? always;
    const key = `${memory} ${address}`;
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.askers.push(isWanted);
      return running.answer;
    }
    const askers = [isWanted];
    const asker = { address, user, isWanted: () => askers.some((wants) => wants()) };
    const answer = this.#turns
      .take(asker, () => this.#isPasswordOf(hash, password))
      .finally(() => this.#running.delete(key));
    this.#running.set(key, { answer, askers });
    return answer.then((right) => {
      if (right === true) this.#remember(memory);
      return right;
    });
  }

  #remember(memory: string): void {
    // Anew at the end, so that the first is always the oldest.
    this.#remembered.delete(memory);
    this.#remembered.set(memory, systemClock.monotonicMs() + this.#rememberedMs);
    for (const [oldest, until] of this.#remembered) {
      if (this.#remembered.size <= this.#rememberedMax && until > systemClock.monotonicMs()) break;
      this.#remembered.delete(oldest);
    }
  }
}

/** A check that is under way or waits, and who asked for it. */
interface Running {
  readonly answer: Promise<boolean | 'busy'>;
  readonly askers: (() => boolean)[];
}

function always(): boolean {
  return true;
}
