import { hostname, networkInterfaces } from 'node:os';

/** Address at which others reach this machine, if it listens on every address. */
export function addressOf(bind: string, port: number): string {
  const own = bind === '0.0.0.0' || bind === '::' ? ownAddress(bind === '::') : bind;
  return own.includes(':') ? `[${own}]:${port}` : `${own}:${port}`;
}

function ownAddress(six: boolean): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter(({ internal, scopeid }) => !internal && !scopeid);
  const four = outer.find(({ family }) => family === 'IPv4');
  const found = four ?? (six ? outer.find(({ family }) => family === 'IPv6') : undefined);
  return found?.address ?? hostname();
}
