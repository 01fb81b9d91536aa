import type { RemotingRequest } from '../request.ts';

/** UPDATE_BROKER_CONFIG, 25. No fields; the body is a line `key=value` for each setting. */
export function updateBrokerConfigRequest(
  settings: Readonly<Record<string, string>>,
): RemotingRequest {
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${value}\n`);
  return { name: 'updateBrokerConfig', fields: {}, body: Buffer.from(lines.join('')) };
}
