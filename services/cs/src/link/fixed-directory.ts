import { isIPv4, isIPv6 } from 'node:net';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { addressText } from './directory.ts';
import type { Directory, DsAddress, DsNode } from './directory.ts';

const hostName = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?$/;

/** The ds nodes of the setting DS, each named by its address. */
export class FixedDirectory implements Directory {
  readonly #all: readonly DsNode[];

  /**
   * `host:port`, `address:port` or `[IPv6 address]:port`, several with commas; throws
   * {@link SettingsError}.
   */
  constructor(setting: string) {
    const entries = setting
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '');
    if (entries.length === 0) throw new SettingsError('DS must be host:port, and is empty');
    this.#all = entries.map((entry) => {
      const address = addressOf(entry);
      return { id: addressText(address), ...address, draining: false };
    });
    const twice = this.#all.find(
      ({ id }, index) => this.#all.findIndex((o) => o.id === id) < index,
    );
    if (twice !== undefined) throw new SettingsError(`DS names ${twice.id} twice`);
  }

  nodes(): readonly DsNode[] {
    return this.#all;
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
