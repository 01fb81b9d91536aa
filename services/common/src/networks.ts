// Networks as they are written in rules and settings: an IP address, or one with the number of its
// leading bits (CIDR), as in `10.0.0.0/8` or `fe80::/10`.

import { BlockList, isIP, isIPv4 } from 'node:net';

/** Undefined: neither an address nor a network. */
export function networkOf(text: string): BlockList | undefined {
  const network = new BlockList();
  return addNetwork(network, text) ? network : undefined;
}

/** Several, with commas or spaces between them. Undefined: one of them is none. */
export function networksOf(text: string): BlockList | undefined {
  const networks = new BlockList();
  for (const one of text.split(/[\s,]+/u))
    if (one !== '' && !addNetwork(networks, one)) return undefined;
  return networks;
}

/** Whether an address, in whatever form a socket tells it, is in the networks. */
export function isWithin(networks: BlockList, text: string): boolean {
  // A socket that listens on both families gives IPv4 as ::ffff:a.b.c.d, with a zone behind
  // link-local ones.
  const address = text.replace(/^::ffff:(?=[\d.]+$)/i, '').replace(/%.*$/, '');
  if (isIP(address) === 0) return false;
  return networks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

function addNetwork(networks: BlockList, text: string): boolean {
  const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = address === undefined ? 0 : isIP(address);
  const bitsMax = family === 4 ? 32 : 128;
  const prefix = bits === undefined ? bitsMax : Number(bits);
  if (address === undefined || family === 0 || prefix > bitsMax) return false;
  networks.addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  return true;
}
