import type { RemotingRequest } from '../request.ts';

/** GET_KV_CONFIG, 101, of name servers. Fields: namespace | key. Answer: value; code 22: none. */
export function getKvRequest(namespace: string, key: string): RemotingRequest {
  return { name: 'getKv', fields: { namespace, key } };
}
