import { isRecord, parseTolerantly, textsIn } from '../json.ts';
import type { RemotingRequest } from '../request.ts';

/**
 * GET_BROKER_RUNTIME_INFO, 28. No fields. Answer: the body, `{"table":{name:text}}`. A broker
 * answers code 1 until it has taken its first sample, a second after its start.
 */
export const runtimeInfoRequest: RemotingRequest = { name: 'runtimeInfo', fields: {} };

export function tableOf(body: Buffer): Map<string, string> {
  const value = parseTolerantly(body.toString('utf8'));
  return textsIn(isRecord(value) ? value['table'] : undefined);
}
