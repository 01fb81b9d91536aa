import { ReasonCode } from '@lmqtt/common/reason-code';

const both: readonly number[] = [0x80, 0x83, 0x87, 0x8f, 0x91];
/** 3.9.3 and 3.11.3. */
const known: Record<'suback' | 'unsuback', ReadonlySet<number>> = {
  suback: new Set([0x00, 0x01, 0x02, ...both, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: new Set([0x00, 0x11, ...both]),
};

/**
 * The reason code of ds in the codes that the packet has: neither packet has one for a store that
 * is away, for example.
 */
export function codeIn(packet: 'suback' | 'unsuback', reasonCode: number): number {
  return known[packet].has(reasonCode) ? reasonCode : ReasonCode.implementationSpecificError;
}
