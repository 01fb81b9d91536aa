import type { RemotingRequest } from '../request.ts';

/**
 * GET_KVLIST_BY_NAMESPACE, 219, of name servers. Field: namespace. Answer: the body,
 * `{"table":{key:value}}`; code 22: none.
 */
export function listKvRequest(namespace: string): RemotingRequest {
  return { name: 'listKv', fields: { namespace } };
}
