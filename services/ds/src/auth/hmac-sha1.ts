// One user name whose password is computed from the client id: base64(HmacSHA1(client id, secret
// key)), as the Java nodes of RocketMQ MQTT have it.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

/** The user's name and the key; null: nobody gets in by it. */
interface HmacAccount {
  readonly hmacUsername: string | null;
  readonly hmacSecretKey: string | null;
}

export class HmacSha1 implements Authenticator {
  readonly #account: () => HmacAccount;

  /** `account` is asked at each login, because name and key change while the broker runs. */
  constructor(account: () => HmacAccount) {
    this.#account = account;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { hmacUsername: user, hmacSecretKey: key } = this.#account();
    if (user === null || key === null || request.userName !== user) return { kind: 'pass' };
    const digest = createHmac('sha1', key).update(request.clientId).digest('base64');
    const expected = Buffer.from(digest);
    const given = request.password;
    if (given?.length === expected.length && timingSafeEqual(given, expected))
      return { kind: 'allow', principal: { user } };
    // The authenticators behind this one do the work that a wrong password of any other name costs.
    return { kind: 'pass' };
  }
}
