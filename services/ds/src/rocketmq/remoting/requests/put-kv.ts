import type { RemotingRequest } from '../request.ts';

/** PUT_KV_CONFIG, 100, of name servers. Fields: namespace | key | value. */
export function putKvRequest(namespace: string, key: string, value: string): RemotingRequest {
  return { name: 'putKv', fields: { namespace, key, value } };
}
