// Users by their client certificates. The connection node has verified the certificate and taken
// the name from it; a user name in CONNECT may be left out, and may not be another one.

import { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthDecision, Authenticator, AuthRequest } from './auth-provider.ts';

const otherName: AuthDecision = {
  kind: 'deny',
  reasonCode: ReasonCode.badUserNameOrPassword,
  reason: 'its user name is not that of its certificate',
};

export class CertificateUsers implements Authenticator {
  readonly #everywhere: boolean;

  /** `everywhere`: not only for listeners that list certificates as a source. */
  constructor(everywhere = true) {
    this.#everywhere = everywhere;
  }

  async authenticate({ userName, peer }: AuthRequest): Promise<AuthDecision> {
    const user = peer.certificateUser;
    const isAsked = peer.authentication?.split(',').includes('certificate') ?? this.#everywhere;
    if (user === undefined || !isAsked) return { kind: 'pass' };
    if (userName !== undefined && userName !== user) return otherName;
    return { kind: 'allow', principal: { user } };
  }
}
