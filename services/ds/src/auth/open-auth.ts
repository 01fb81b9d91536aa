import { systemClock } from '@lmqtt/common/clock';
import type { Metrics } from '@lmqtt/common/metrics';
import { LiveSettings } from '@lmqtt/common/settings/live-settings';
import type { Settings } from '@lmqtt/common/settings/row';
import { AccessRules } from './access-rules.ts';
import { Anonymous } from './anonymous.ts';
import type { Authenticator, AuthProvider } from './auth-provider.ts';
import { AuthFailures } from './auth-failures.ts';
import { AuthChain } from './chain.ts';
import type { EnhancedAuth } from './enhanced-auth.ts';
import { type AuthGuard, GuardedAuth, GuardedEnhancedAuth } from './guarded-auth.ts';
import { HmacSha1 } from './hmac-sha1.ts';
import { PasswordFile } from './password-file.ts';
import type { ReloadOptions } from './reloaded-file.ts';
import { ScramSha256 } from './scram-sha-256.ts';

export interface OpenAuth {
  readonly provider: AuthProvider;
  readonly enhanced: EnhancedAuth[];
  close(): void;
}

interface AuthOptions {
  readonly settings: Settings;
  /** Those that change while the program runs. */
  readonly live?: LiveSettings | undefined;
  readonly metrics: Metrics;
  readonly report: ReloadOptions['report'];
}

/** The chain that the settings ask for. */
export async function openAuth(options: AuthOptions): Promise<OpenAuth> {
  const { settings, metrics, report } = options;
  let authenticators: Authenticator[] = [];
  let rules: AccessRules | undefined;
  let accounts: PasswordFile | undefined;
  const enhanced: EnhancedAuth[] = [];
  const closing: (() => void)[] = [];
  const guard = guardOf(settings, metrics);
  // A wrong password under this name is passed on, and costs what that of an unknown user costs.
  if (settings.hmacUsername !== null) {
    const live = options.live ?? new LiveSettings(settings);
    authenticators.push(new HmacSha1(() => live.values));
  }
  if (settings.passwordFile !== null) {
    const file = await PasswordFile.open(settings.passwordFile, {
      usersMax: settings.maxUsers,
      waitingMax: settings.authChecksWaitingMax,
      onFull: () => {
        metrics.limits.AUTH_CHECKS_WAITING_MAX += 1;
      },
      report,
    });
    metrics.gauge(
      'lmqtt_auth_checks_waiting',
      'Passwords that wait to be checked',
      () => file.waiting,
    );
    authenticators.push(file);
    accounts = file;
    enhanced.push(new GuardedEnhancedAuth(new ScramSha256(file), guard));
    closing.push(() => file.close());
  }
  const checksNames = authenticators.length > 0;
  // One guard stands before all authenticators, so that failures count once, whichever of them
  // refuses.
  if (checksNames) authenticators = [new GuardedAuth(new AuthChain(authenticators), guard)];
  if (settings.allowAnonymous !== false) {
    const from = settings.allowAnonymous === true ? 'anywhere' : 'loopback';
    authenticators.push(new Anonymous(!checksNames, from));
  }
  if (settings.aclFile !== null) {
    const file = await AccessRules.open(settings.aclFile, { report });
    rules = file;
    closing.push(() => file.close());
  }
  return {
    provider: new AuthChain(authenticators, rules, accounts, settings.bridgeState),
    enhanced,
    close: () => {
      for (const close of closing) close();
    },
  };
}

function guardOf(settings: Settings, metrics: Metrics): AuthGuard {
  const limits = {
    perAddress: settings.authFailuresPerAddress,
    perUser: settings.authFailuresPerUser,
  };
  return {
    failures: new AuthFailures(limits, systemClock),
    refused: (limit) => {
      if (limit === 'user') metrics.limits.AUTH_FAILURES_PER_USER += 1;
      else metrics.limits.AUTH_FAILURES_PER_ADDRESS += 1;
    },
  };
}
