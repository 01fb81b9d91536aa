// What depends on several rows: rules between settings, and defaults that follow from others.
import { SettingsError } from './parse.ts';
import type { RawSettings, Settings } from './row.ts';

export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}

export function resolveSettings(raw: RawSettings): Settings {
  if ((raw.mqttTlsPort !== null || raw.wssPort !== null) && !(raw.tlsCert && raw.tlsKey)) {
    throw new SettingsError('MQTT_TLS_PORT and WSS_PORT need TLS_CERT and TLS_KEY');
  }
  if (raw.tlsClientCert !== 'none' && raw.tlsCa === null) {
    throw new SettingsError(`TLS_CLIENT_CERT ${raw.tlsClientCert} needs TLS_CA`);
  }
  if ((raw.hmacUsername === null) !== (raw.hmacSecretKey === null)) {
    throw new SettingsError('HMAC_USERNAME and HMAC_SECRET_KEY are given together or not at all');
  }
  if (!raw.wsPath.startsWith('/')) throw new SettingsError('WS_PATH must begin with /');
  return { ...raw, allowAnonymous: resolveAnonymous(raw) };
}

function resolveAnonymous(raw: RawSettings): boolean {
  if (raw.allowAnonymous !== null) return raw.allowAnonymous;
  if (raw.passwordFile !== null || raw.hmacUsername !== null) return false;
  if (isLoopback(raw.bind)) return true;
  throw new SettingsError(
    `BIND ${raw.bind} is reachable from outside and there is no authentication: ` +
      'give PASSWORD_FILE or HMAC_USERNAME and HMAC_SECRET_KEY, ' +
      'or allow everyone in with ALLOW_ANONYMOUS=true',
  );
}
