// Values by network (CIDR), and the value of the narrowest network that an address is in. A search
// takes one look for each length of prefix that is in use, however many networks there are.

import { isIP } from 'node:net';

interface Address {
  /** Number of bits of an address of its family: 32 or 128. */
  readonly length: number;
  readonly value: bigint;
}

const lengthOf4 = 32;
const lengthOf6 = 128;
/** ::ffff:0:0/96, the IPv6 form of IPv4 addresses. */
const mappedHead = 0xffffn;

/**
 * An address or network in its one form: without host bits, IPv4 in its own form, IPv6 in that of
 * RFC 5952, the length left out where it is that of a whole address. Undefined: it is neither.
 */
export function networkText(text: string): string | undefined {
  const network = parsed(text);
  if (network === undefined) return undefined;
  const { length, value, bits } = network;
  const address = length === lengthOf4 ? text4(value) : text6(value);
  return bits === length ? address : `${address}/${bits}`;
}

export class NetworkMap<T> {
  /** By length of address and of prefix, the longest prefix first. */
  readonly #lengths: {
    readonly length: number;
    readonly bits: number;
    readonly values: Map<bigint, T>;
  }[] = [];

  /** Throws where the text is no network. */
  set(text: string, value: T): void {
    const network = parsed(text);
    if (network === undefined) throw new Error(`${text} is no network`);
    const { length, bits } = network;
    let there = this.#lengths.find((one) => one.length === length && one.bits === bits);
    if (there === undefined) {
      there = { length, bits, values: new Map() };
      this.#lengths.push(there);
      this.#lengths.sort((one, other) => other.bits - one.bits);
    }
    there.values.set(network.value, value);
  }

  delete(text: string): void {
    const network = parsed(text);
    if (network === undefined) return;
    const { length, bits, value } = network;
    const at = this.#lengths.findIndex((one) => one.length === length && one.bits === bits);
    const values = this.#lengths[at]?.values;
    values?.delete(value);
    if (values?.size === 0) this.#lengths.splice(at, 1);
  }

  /** The first value that is wanted, from the narrowest network to the widest. */
  find(text: string, isWanted: (value: T) => boolean): T | undefined {
    if (this.#lengths.length === 0) return undefined;
    const address = addressOf(text);
    if (address === undefined) return undefined;
    for (const { length, bits, values } of this.#lengths) {
      if (length !== address.length) continue;
      const value = values.get(headOf(address, bits));
      if (value !== undefined && isWanted(value)) return value;
    }
    return undefined;
  }
}

function parsed(text: string): (Address & { readonly bits: number }) | undefined {
  const [, host = '', suffix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = addressOf(host);
  if (address === undefined) return undefined;
  // A network of IPv4 addresses in their IPv6 form counts its bits in that form.
  const isMapped = address.length === lengthOf4 && isIP(host.replace(/%.*$/, '')) === 6;
  const given = suffix === undefined ? undefined : Number(suffix);
  const bits =
    given === undefined ? address.length : isMapped ? given - (lengthOf6 - lengthOf4) : given;
  if (bits < 0 || bits > address.length) return undefined;
  return { length: address.length, value: headOf(address, bits), bits };
}

function headOf({ length, value }: Address, bits: number): bigint {
  const hostBits = BigInt(length - bits);
  return (value >> hostBits) << hostBits;
}

/** The zone of a link-local address does not count. */
function addressOf(text: string): Address | undefined {
  const plain = text.replace(/%.*$/, '');
  const family = isIP(plain);
  if (family === 4) {
    const value = plain.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
    return { length: lengthOf4, value };
  }
  if (family === 0) return undefined;
  const value = groupsOf(plain).reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n);
  return value >> BigInt(lengthOf4) === mappedHead
    ? { length: lengthOf4, value: value & 0xffff_ffffn }
    : { length: lengthOf6, value };
}

/** The eight groups of an IPv6 address, in hexadecimal. */
function groupsOf(text: string): string[] {
  const [head = '', tail] = canonical6(text).split('::');
  const left = head === '' ? [] : head.split(':');
  if (tail === undefined) return left;
  const right = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right];
}

/** URLs have IPv6 addresses in the form of RFC 5952, with their last two groups as the others. */
function canonical6(text: string): string {
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

function text4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 0xffn)).join('.');
}

function text6(value: bigint): string {
  const digits = value.toString(16).padStart(32, '0');
  return canonical6(digits.replace(/(.{4})(?=.)/g, '$1:'));
}
