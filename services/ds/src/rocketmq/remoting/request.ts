import { type RequestName, requestCodes } from './codes.ts';
import type { Signer } from './signer.ts';

/** A request that is asked too seldom to have its header built by hand. */
export interface RemotingRequest {
  readonly name: RequestName;
  readonly fields: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** The beginning of every header of ours; the peer need not know the language. */
export function headerStart(name: RequestName): string {
  return `{"code":${requestCodes[name]},"language":"OTHER","version":401,"flag":0,"opaque":`;
}

/** The header of a request as text. */
export function headerOf(
  request: RemotingRequest,
  opaque: number,
  signer: Signer | undefined,
): string {
  const fields: Record<string, string> = { ...request.fields };
  if (signer !== undefined) {
    fields['AccessKey'] = signer.accessKey;
    const names = Object.keys(fields).toSorted(byCodeUnit);
    const values = names.map((name) => fields[name]).join('');
    fields['Signature'] = signer.signature(values, request.body);
  }
  return `${headerStart(request.name)}${opaque},"extFields":${JSON.stringify(fields)}}`;
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
