import type { CsConfig } from './config.ts';
import { Allowance, type AllowanceTerms } from './connection/allowance.ts';
import { PublishRate, type RatedClient } from './connection/publish-rate.ts';
import { userIn } from './connection/principals.ts';
import type { TurnTime } from './turn-time.ts';
import type { Wheel } from './wheel.ts';

/** Maximum number of allowances that nobody uses and that are not full. */
const unusedMax = 100_000;

interface ConnectingClient extends RatedClient {
  readonly clientId: string;
  /** As ds gave it. */
  readonly principal: string;
}

/**
 * Rates of publishes, by client identifier and by user. They outlast the connections: who connects
 * again finds what was used, until it would be there again anyway.
 */
export class PublishRates {
  readonly time: TurnTime;
  heldCount = 0;
  readonly #wheel: Wheel;
  readonly #ofClients: AllowanceTerms | undefined;
  readonly #ofUsers: AllowanceTerms | undefined;
  /** By `c` and the client identifier, or `u` and the user. */
  readonly #allowances: Map<string, Allowance> = new Map();
  /** Those without a connection, the longest ago first. */
  readonly #unused: Set<Allowance> = new Set();

  constructor(config: CsConfig, time: TurnTime, wheel: Wheel) {
    this.time = time;
    this.#wheel = wheel;
    const { publishBurstMs: burstMs } = config;
    this.#ofClients = known({
      publishes: config.maxPublishRate,
      bytes: config.maxPublishByteRate,
      burstMs,
      publishesLimit: 'MAX_PUBLISH_RATE',
      bytesLimit: 'MAX_PUBLISH_BYTE_RATE',
    });
    this.#ofUsers = known({
      publishes: config.maxPublishRatePerUser,
      bytes: config.maxPublishByteRatePerUser,
      burstMs,
      publishesLimit: 'MAX_PUBLISH_RATE_PER_USER',
      bytesLimit: 'MAX_PUBLISH_BYTE_RATE_PER_USER',
    });
  }

  /** The rate of a client that connects; undefined: there are no rates. */
  of(client: ConnectingClient): PublishRate | undefined {
    if (this.#ofClients === undefined && this.#ofUsers === undefined) return undefined;
    const own = this.#ofClients && this.#taken(`c${client.clientId}`, this.#ofClients);
    const ofUser = this.#ofUsers && this.#taken(`u${userIn(client.principal)}`, this.#ofUsers);
    return new PublishRate(client, this, own, ofUser);
  }

  released(allowance: Allowance): void {
    allowance.connections -= 1;
    if (allowance.connections > 0) return;
    this.#unused.add(allowance);
    if (this.#unused.size <= unusedMax) return;
    for (const oldest of this.#unused) {
      this.#drop(oldest);
      return;
    }
  }

  /** Forgets what nobody uses and is as a new one would be. To be called now and then. */
  sweep(): void {
    if (this.#unused.size === 0) return;
    const nowMs = this.time.monotonicMs;
    for (const allowance of this.#unused) if (allowance.isFull(nowMs)) this.#drop(allowance);
  }

  get count(): number {
    return this.#allowances.size;
  }

  #taken(name: string, terms: AllowanceTerms): Allowance {
    let allowance = this.#allowances.get(name);
    if (allowance === undefined) {
      allowance = new Allowance(name, terms, this.#wheel, this.time.monotonicMs);
      this.#allowances.set(name, allowance);
    }
    this.#unused.delete(allowance);
    allowance.connections += 1;
    return allowance;
  }

  #drop(allowance: Allowance): void {
    this.#unused.delete(allowance);
    this.#allowances.delete(allowance.name);
  }
}

function known(terms: AllowanceTerms): AllowanceTerms | undefined {
  return terms.publishes > 0 || terms.bytes > 0 ? terms : undefined;
}
