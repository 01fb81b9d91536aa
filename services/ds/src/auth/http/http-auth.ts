// An HTTP service that says who a client is, asked once for each CONNECT:
//
//   POST, application/json: what AUTH_HTTP_BODY says, by default
//     {"clientid", "username", "password", "peerhost", "proto_ver", "cert_subject"}
//   200 {"result": "allow" | "deny" | "ignore", "is_superuser", "acl", "expire_at", "username"}
//   204, or 200 without a body: allow; 401 and 403: deny; anything else, or none: it is away
//
// `ignore` passes the client on to the next authenticator. `acl` is as in identity-rules.ts,
// `expire_at` is in seconds since 1970. Answers are kept for a while under an HMAC of the whole
// question, with a key that never leaves this process. A service that does not answer is left alone
// for some seconds, so that a herd of clients does not wait for it one after another.

import { createHmac, randomBytes } from 'node:crypto';
import { addressGroup } from '@lmqtt/common/address-group';
import type { Clock } from '@lmqtt/common/clock';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, Authenticator, AuthRequest } from '../auth-provider.ts';
import { CheckTurns } from '../check-turns.ts';
import { decisionIn, UnknownAnswer } from '../said-decision.ts';
import { boundedText } from './bounded-text.ts';
import { Circuit } from './circuit.ts';

interface HttpAuthOptions {
  readonly url: string;
  /** JSON in which `%u`, `%c`, `%p` and others stand within texts; null: the usual fields. */
  readonly body: string | null;
  /** Sent as `Authorization: Bearer`; null: none. */
  readonly token: string | null;
  readonly timeoutMs: number;
  readonly atOnce: number;
  readonly waitingMax: number;
  /** How long an answer is kept; 0: not at all. */
  readonly keptMs: number;
  /** Treatment of clients while the service is away. */
  readonly whenAway: 'refuse' | 'pass';
  readonly clock: Clock;
  readonly onFull?: () => void;
  /** Each question, by what came of it. */
  readonly asked?: (outcome: HttpOutcome) => void;
  /** The service is away, and why, or it answers again. */
  readonly report: (problem: string | undefined) => void;
}

export const httpOutcomes = ['allow', 'deny', 'ignore', 'away', 'kept'] as const;
type HttpOutcome = (typeof httpOutcomes)[number];

const answerBytesMax = 65_536;
const keptMax = 100_000;
const busy: AuthDecision = { kind: 'deny', reasonCode: ReasonCode.serverBusy };
const denied: AuthDecision = {
  kind: 'deny',
  reasonCode: ReasonCode.badUserNameOrPassword,
  reason: 'the HTTP service says no',
};

/** A question that is under way or waits for its turn, and who asks it. */
interface Running {
  readonly answer: Promise<AuthDecision>;
  readonly askers: (() => boolean)[];
}

interface Kept {
  readonly decision: AuthDecision;
  readonly untilMs: number;
}

export class HttpAuth implements Authenticator {
  readonly #options: HttpAuthOptions;
  readonly #turns: CheckTurns;
  readonly #circuit: Circuit;
  readonly #key = randomBytes(32);
  readonly #kept = new Map<string, Kept>();
  readonly #running = new Map<string, Running>();
  #isAway = false;

  constructor(options: HttpAuthOptions) {
    this.#options = options;
    this.#circuit = new Circuit(options.clock);
    this.#turns = new CheckTurns({
      atOnce: options.atOnce,
      waitingMax: options.waitingMax,
      ...(options.onFull === undefined ? {} : { onFull: options.onFull }),
    });
  }

  /** Questions that wait for their turn. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const body = this.#body(request);
    const key = createHmac('sha256', this.#key).update(body).digest('base64');
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#options.clock.monotonicMs() < kept.untilMs) {
      this.#options.asked?.('kept');
      return kept.decision;
    }
    const isWanted = request.isWanted ?? always;
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.askers.push(isWanted);
      return running.answer;
    }
    const askers = [isWanted];
    const answer = this.#askInTurn(request, askers, key, body).finally(() =>
      this.#running.delete(key),
    );
    this.#running.set(key, { answer, askers });
    return answer;
  }

  async #askInTurn(
    request: AuthRequest,
    askers: readonly (() => boolean)[],
    key: string,
    body: string,
  ): Promise<AuthDecision> {
    const asker = {
      address: addressGroup(request.peer.address),
      user: request.userName ?? '',
      isWanted: () => askers.some((wants) => wants()),
    };
    const decision = await this.#turns.take(asker, async () => this.#ask(request, key, body));
    return decision === 'busy' ? busy : decision;
  }

  async #ask(request: AuthRequest, key: string, body: string): Promise<AuthDecision> {
    const { token, timeoutMs, url } = this.#options;
    if (!this.#circuit.mayAsk()) return this.#away();
    try {
      const answer = await fetch(url, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      const decision = await decisionOf(answer, request);
      this.#circuit.answered();
      this.#tell(undefined);
      this.#options.asked?.(decision.kind === 'pass' ? 'ignore' : decision.kind);
      this.#keep(key, decision);
      return decision;
    } catch (error) {
      this.#circuit.failed();
      this.#tell(problemOf(error));
      return this.#away();
    }
  }

  #away(): AuthDecision {
    this.#options.asked?.('away');
    if (this.#options.whenAway === 'pass') return { kind: 'pass' };
    const reason = 'the HTTP service does not answer';
    return { kind: 'deny', reasonCode: ReasonCode.serverUnavailable, reason };
  }

  /** One line when it goes away, and one when it is back. */
  #tell(problem: string | undefined): void {
    if (this.#isAway === (problem !== undefined)) return;
    this.#isAway = problem !== undefined;
    this.#options.report(problem);
  }

  #keep(key: string, decision: AuthDecision): void {
    const { keptMs, clock } = this.#options;
    if (keptMs === 0) return;
    const nowMs = clock.monotonicMs();
    let leftMs = keptMs;
    if (decision.kind === 'allow' && decision.principal.expiresAtMs !== undefined)
      leftMs = Math.min(leftMs, decision.principal.expiresAtMs - clock.nowMs());
    // Anew at the end, so that the first is always the oldest.
    this.#kept.delete(key);
    if (leftMs > 0) this.#kept.set(key, { decision, untilMs: nowMs + leftMs });
    for (const [oldest, { untilMs }] of this.#kept) {
      if (this.#kept.size <= keptMax && untilMs > nowMs) break;
      this.#kept.delete(oldest);
    }
  }

  #body(request: AuthRequest): string {
    const { clientId, userName, password, peer, protocolVersion } = request;
    const secret = password?.toString('utf8');
    const fields = {
      clientid: clientId,
      username: userName,
      password: secret,
      peerhost: peer.address,
      proto_ver: protocolVersion,
      cert_subject: peer.certificateSubject,
    };
    const { body } = this.#options;
    if (body === null) return JSON.stringify(fields);
    const texts: Readonly<Record<string, string>> = {
      ...{ u: userName ?? '', c: clientId, p: secret ?? '', a: peer.address },
      ...{ v: String(protocolVersion), s: peer.certificateSubject ?? '', '%': '%' },
    };
    return body.replace(/%([ucpavs%])/g, (_whole, name: string) =>
      JSON.stringify(texts[name]).slice(1, -1),
    );
  }
}

async function decisionOf(answer: Response, request: AuthRequest): Promise<AuthDecision> {
  const text = await boundedText(answer, answerBytesMax);
  if (answer.status === 401 || answer.status === 403) return denied;
  if (answer.status !== 200 && answer.status !== 204)
    throw new UnknownAnswer(`HTTP ${answer.status}`);
  const said: unknown = text.trim() === '' ? { result: 'allow' } : JSON.parse(text);
  const decision = decisionIn(said, request);
  if (decision.kind !== 'deny') return decision;
  return { ...decision, reason: 'the HTTP service says no' };
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof SyntaxError) return 'the answer is not JSON';
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function always(): boolean {
  return true;
}
