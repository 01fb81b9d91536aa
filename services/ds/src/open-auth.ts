import type { Settings } from '@lmqtt/common/settings/row';
import { AccessRules } from './auth/access-rules.ts';
import { Anonymous } from './auth/anonymous.ts';
import type { Authenticator, AuthProvider } from './auth/auth-provider.ts';
import { AuthChain } from './auth/chain.ts';
import type { EnhancedAuth } from './auth/enhanced-auth.ts';
import { HmacSha1 } from './auth/hmac-sha1.ts';
import { PasswordFile } from './auth/password-file.ts';
import type { ReloadOptions } from './auth/reloaded-file.ts';
import { ScramSha256 } from './auth/scram-sha-256.ts';

export interface OpenAuth {
  readonly provider: AuthProvider;
  readonly enhanced: EnhancedAuth[];
  close(): void;
}

/** The chain that the settings ask for. */
export async function openAuth(
  settings: Settings,
  report: ReloadOptions['report'],
): Promise<OpenAuth> {
  const authenticators: Authenticator[] = [];
  let rules: AccessRules | undefined;
  const enhanced: EnhancedAuth[] = [];
  const closing: (() => void)[] = [];
  if (settings.passwordFile !== null) {
    const usersMax = settings.maxUsers;
    const file = await PasswordFile.open(settings.passwordFile, { usersMax, report });
    authenticators.push(file);
    enhanced.push(new ScramSha256(file));
    closing.push(() => file.close());
  }
  if (settings.hmacUsername !== null && settings.hmacSecretKey !== null)
    authenticators.push(new HmacSha1(settings.hmacUsername, settings.hmacSecretKey));
  if (settings.allowAnonymous !== false) {
    const from = settings.allowAnonymous === true ? 'anywhere' : 'loopback';
    authenticators.push(new Anonymous(authenticators.length === 0, from));
  }
  if (settings.aclFile !== null) {
    const file = await AccessRules.open(settings.aclFile, { report });
    rules = file;
    closing.push(() => file.close());
  }
  return {
    provider: new AuthChain(authenticators, rules),
    enhanced,
    close: () => {
      for (const close of closing) close();
    },
  };
}
