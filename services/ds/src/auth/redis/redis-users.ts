// Users from Redis, a hash for each, at AUTH_REDIS_PREFIX and the user name:
//
//   password    $scrypt$…, the part of a line of the password file behind `NAME:`
//   superuser   1: everything may be published and read, but nothing published below $SYS/
//   rules       lines of `allow|deny publish|subscribe|all FILTER`; the first that fits decides, and
//               ACL_FILE where none does
//
// A hash that was read counts for a while, and a password that was right as long, as an HMAC under a
// key that never leaves this process. Redis that does not answer is left alone for some seconds. A
// user who does not exist costs the work of one who does.
import { createHmac, randomBytes } from 'node:crypto';
import { addressGroup } from '@lmqtt/common/address-group';
import type { Clock } from '@lmqtt/common/clock';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, Authenticator, AuthRequest, Principal } from '../auth-provider.ts';
import { CheckTurns } from '../check-turns.ts';
import { Circuit } from '../http/circuit.ts';
import { identityRules, superuserRules } from '../identity-rules.ts';
import {
  decodeEntry,
  hashOfNobody,
  isEntry,
  isPasswordOf,
  type PasswordHash,
} from '../password-entry.ts';

/** Fields of a user's hash; without any there is no such user. */
type UserHash = Readonly<Record<string, string>>;

interface RedisUsersOptions {
  /** Rejects where Redis does not answer in time. */
  readonly read: (user: string) => Promise<UserHash>;
  readonly keptMs: number;
  readonly waitingMax: number;
  /** Treatment of clients while Redis is away. */
  readonly whenAway: 'refuse' | 'pass';
  readonly clock: Clock;
  readonly onFull: () => void;
  /** Each CONNECT, by what came of it. */
  readonly asked: (outcome: RedisUsersOutcome) => void;
  /** Redis is away, and why, or it answers again. */
  readonly report: (problem: string | undefined) => void;
}

export const redisUsersOutcomes = ['allow', 'deny', 'unknown', 'invalid', 'away'] as const;
type RedisUsersOutcome = (typeof redisUsersOutcomes)[number];

interface Entry {
  readonly password: PasswordHash;
  readonly superuser: boolean;
  readonly rules: string;
}

interface Kept {
  readonly entry: Entry | undefined | 'invalid';
  readonly untilMs: number;
}

const keptMax = 100_000;
const checksAtOnce = 2;
const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
const wrong: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.badUserNameOrPassword };
const away: AuthDecision = {
  kind: 'deny',
  reasonCode: ReasonCode.serverUnavailable,
  reason: 'Redis does not say who it is',
};
const invalid: AuthDecision = {
  kind: 'deny',
  reasonCode: ReasonCode.serverUnavailable,
  reason: 'its hash in Redis is not valid',
};

export class RedisUsers implements Authenticator {
  readonly #options: RedisUsersOptions;
  readonly #turns: CheckTurns;
  readonly #circuit: Circuit;
  readonly #key = randomBytes(32);
  readonly #kept = new Map<string, Kept>();
  /** Right passwords to when they are forgotten. */
  readonly #right = new Map<string, number>();
  #isAway = false;

  constructor(options: RedisUsersOptions) {
    this.#options = options;
    const { waitingMax, onFull } = options;
    this.#turns = new CheckTurns({ atOnce: checksAtOnce, waitingMax, onFull });
    this.#circuit = new Circuit(options.clock);
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { userName, password } = request;
    if (userName === undefined || password === undefined) return { kind: 'pass' };
    const { asked } = this.#options;
    const entry = await this.#entryOf(userName);
    if (entry === 'away') {
      asked('away');
      return this.#options.whenAway === 'pass' ? { kind: 'pass' } : away;
    }
    if (entry === 'invalid') {
      asked('invalid');
      return invalid;
    }
    const hash = entry?.password ?? hashOfNobody([], this.#key, userName);
    const right = await this.#isRight(request, userName, hash, password);
    if (right === 'busy') return busy;
    if (entry === undefined) {
      asked('unknown');
      return { kind: 'pass' };
    }
    const principal = right ? principalOf(entry, request) : undefined;
    if (right && principal === undefined) {
      asked('invalid');
      return invalid;
    }
    asked(right ? 'allow' : 'deny');
    return principal === undefined ? wrong : { kind: 'allow', principal };
  }

  async #entryOf(user: string): Promise<Kept['entry'] | 'away'> {
    const { read, keptMs, clock } = this.#options;
    const kept = this.#kept.get(user);
    if (kept !== undefined && clock.monotonicMs() < kept.untilMs) return kept.entry;
    if (!this.#circuit.mayAsk()) return 'away';
    try {
      const entry = entryIn(await read(user));
      this.#circuit.answered();
      this.#tell(undefined);
      if (keptMs > 0) keep(this.#kept, user, { entry, untilMs: clock.monotonicMs() + keptMs });
      return entry;
    } catch (error) {
      this.#circuit.failed();
      this.#tell(error instanceof Error ? error.message : String(error));
      return 'away';
    }
  }

  async #isRight(
    request: AuthRequest,
    user: string,
    hash: PasswordHash,
    password: Buffer,
  ): Promise<boolean | 'busy'> {
    const { clock, keptMs } = this.#options;
    const mac = createHmac('sha256', this.#key).update(`${Buffer.byteLength(user)} ${user}`);
    const memory = mac.update(hash.salt).update(hash.hash).update(password).digest('base64');
    if (clock.monotonicMs() < (this.#right.get(memory) ?? 0)) return true;
    const address = addressGroup(request.peer.address);
    const isWanted = request.isWanted ?? always;
    const right = await this.#turns.take({ address, user, isWanted }, () =>
      isPasswordOf(hash, password),
    );
    if (right === true && keptMs > 0) keep(this.#right, memory, clock.monotonicMs() + keptMs);
    return right;
  }

  /** One line when it goes away, and one when it is back. */
  #tell(problem: string | undefined): void {
    if (this.#isAway === (problem !== undefined)) return;
    this.#isAway = problem !== undefined;
    this.#options.report(problem);
  }
}

/** Anew at the end, so that the first is always the oldest. */
function keep<T>(kept: Map<string, T>, key: string, value: T): void {
  kept.delete(key);
  kept.set(key, value);
  if (kept.size <= keptMax) return;
  for (const oldest of kept.keys()) {
    kept.delete(oldest);
    break;
  }
}

function entryIn({ password, superuser, rules }: UserHash): Kept['entry'] {
  if (password === undefined) return undefined;
  if (!isEntry(password)) return 'invalid';
  return {
    password: decodeEntry(password).password,
    superuser: superuser === '1' || superuser === 'true',
    rules: rules ?? '',
  };
}

/** Undefined: its rules are not valid. */
function principalOf({ superuser, rules }: Entry, request: AuthRequest): Principal | undefined {
  const { userName: user, clientId } = request;
  if (superuser) return { user, ...superuserRules };
  const lines = rules.split(/\r?\n/).filter((line) => line.trim() !== '');
  const list = lines.map((line) => {
    const [, permission, action, topic] = /^\s*(\w+)\s+(\w+)\s+(.*\S)\s*$/.exec(line) ?? [];
    return { permission, action, topic };
  });
  const read = identityRules(list, { user, clientId });
  return read === undefined ? undefined : { user, ...(list.length === 0 ? {} : read) };
}

function always(): boolean {
  return true;
}
