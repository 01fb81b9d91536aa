/**
 * True for an address of this machine: `localhost`, or an address of it in any form that a socket
 * tells.
 */
export function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === 'localhost' || plain === '::1' || plain.startsWith('127.');
}
