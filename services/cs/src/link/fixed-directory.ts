import { isIPv4, isIPv6 } from 'node:net';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Directory, DsAddress } from './directory.ts';

const hostName = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?$/;

/** The one ds of the setting DS: embedded stores belong to one process. */
export class FixedDirectory implements Directory {
  private readonly addresses: readonly DsAddress[];

  /** `host:port`, `address:port` or `[IPv6 address]:port`; throws {@link SettingsError}. */
  constructor(setting: string) {
    const entries = setting
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
    if (entries.length !== 1) {
      throw new SettingsError(
        `DS must be one host:port, not ${entries.length}: a ds with embedded stores stands alone`,
      );
    }
    this.addresses = entries.map(addressOf);
  }

  nodes(): readonly DsAddress[] {
    return this.addresses;
  }

  onChange(): () => void {
    return () => {};
  }
}

function addressOf(text: string): DsAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const [, bracketed, plain, digits] = match ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const isHost = bracketed === undefined ? isName(host) : isIPv6(host);
  if (!isHost || !(port >= 1 && port <= 65535)) {
    throw new SettingsError(`DS must be host:port or [IPv6 address]:port, not ${text}`);
  }
  return { host, port };
}

/** All digits and dots, and yet no address, is a slip of the finger. */
function isName(host: string): boolean {
  return isIPv4(host) || (hostName.test(host) && !/^[\d.]+$/.test(host));
}
