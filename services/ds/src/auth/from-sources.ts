import { type AuthSource, asksSource } from '@lmqtt/common/auth-sources';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

/** An authenticator that is asked only where the listener of the client asks one of its sources. */
export class FromSources implements Authenticator {
  readonly #sources: readonly AuthSource[];
  readonly #inner: Authenticator;

  constructor(sources: readonly AuthSource[], inner: Authenticator) {
    this.#sources = sources;
    this.#inner = inner;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { authentication } = request.peer;
    const isAsked = this.#sources.some((source) => asksSource(authentication, source));
    return isAsked ? this.#inner.authenticate(request) : { kind: 'pass' };
  }
}
