import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';

const connectMs = 3000;

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `[::1]:port`; undefined: it is neither. */
export function placeOf(address: string): Place | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** Undefined: somebody listens there; otherwise why not. */
export function whyUnreachable({ host, port }: Place): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: connectMs });
    const end = (why?: string): void => {
      socket.destroy();
      resolve(why);
    };
    socket.once('connect', () => end());
    socket.once('timeout', () => end(`no connection in ${connectMs} ms`));
    // Several addresses that all fail are an error without a message of its own.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.message === '' ? error.code : error.message),
    );
  });
}

/** Addresses of a name; none: it has none, or nobody answers for it. */
export async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}
