import { readFileSync } from 'node:fs';
import { SettingsError } from '@lmqtt/common/settings/parse';
import type { Settings } from '@lmqtt/common/settings/row';
import type { RocketmqClientOptions } from './remoting/client.ts';

/** Addresses of RocketMQ and credentials, from the settings. Throws SettingsError. */
export function clientSettings(
  settings: Settings,
): Pick<RocketmqClientOptions, 'nameServers' | 'credentials' | 'tls'> {
  const { rocketmqAccessKey: accessKey, rocketmqSecretKey: secretKey } = settings;
  const { rocketmqTls, rocketmqTlsCa: ca } = settings;
  return {
    nameServers: nameServersOf(settings),
    credentials: accessKey === null || secretKey === null ? undefined : { accessKey, secretKey },
    tls: rocketmqTls ? (ca === null ? {} : { ca: readFileSync(ca) }) : undefined,
  };
}

function nameServersOf({ namesrvAddr }: Settings): string[] {
  const addresses = (namesrvAddr ?? '')
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== '');
  const wrong = addresses.find((address) => !/^.+:\d{1,5}$/.test(address));
  if (addresses.length === 0 || wrong !== undefined)
    throw new SettingsError(`NAMESRV_ADDR must be host:port;host:port, not "${namesrvAddr}"`);
  return addresses;
}
