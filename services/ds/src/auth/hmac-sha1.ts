// One user name whose password is computed from the client id: base64(HmacSHA1(client id, secret key)), as the Java nodes
// of RocketMQ MQTT have it.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

export class HmacSha1 implements Authenticator {
  readonly #userName: string;
  readonly #secretKey: string;

  constructor(userName: string, secretKey: string) {
    this.#userName = userName;
    this.#secretKey = secretKey;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    if (request.userName !== this.#userName) return { kind: 'pass' };
    const digest = createHmac('sha1', this.#secretKey).update(request.clientId).digest('base64');
    const expected = Buffer.from(digest);
    const given = request.password;
    if (given?.length === expected.length && timingSafeEqual(given, expected))
      return { kind: 'allow', principal: { user: this.#userName } };
    // The authenticators behind this one do the work that a wrong password of any other name costs.
    return { kind: 'pass' };
  }
}
