import type { RemotingRequest } from '../request.ts';

/** GET_BROKER_CONFIG, 26. No fields. Answer: the body, a line `key=value` for each setting. */
export const brokerConfigRequest: RemotingRequest = { name: 'brokerConfig', fields: {} };

export function settingsOf(body: Buffer): Map<string, string> {
  const settings = new Map<string, string>();
  for (const line of body.toString('utf8').split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) settings.set(line.slice(0, at), line.slice(at + 1).trimEnd());
  }
  return settings;
}
