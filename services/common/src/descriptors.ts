import { readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';

/**
 * Maximum number of descriptors that the store, the log and connections to other servers need at
 * the same time.
 */
const keptMax = 160;
const toldEveryMs = 10_000;

/**
 * How many files and sockets the process may have open; undefined: no limit is known. Node raises
 * the soft limit to the hard one when it starts.
 */
export function openFilesMax(): number | undefined {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? undefined : Number(line[1]);
  } catch {
    return undefined;
  }
}

/** Descriptors that accepted sockets leave alone. */
function descriptorsKept(limit: number): number {
  return Math.min(keptMax, Math.floor(limit / 2));
}

/**
 * Advice for the operator in one line; undefined: the limit of open files has room for all
 * connections.
 */
export function openFilesAdvice(
  connectionsMax: number,
  limit: number | undefined = openFilesMax(),
): string | undefined {
  if (limit === undefined || limit >= connectionsMax + descriptorsKept(limit)) return undefined;
  const room = limit - descriptorsKept(limit);
  return (
    `the limit of open files (${limit}) has room for ${room} connections, MAX_CONNECTIONS is ` +
    `${connectionsMax}: set ulimit -n (LimitNOFILE, nofile) to ${connectionsMax + keptMax} or ` +
    `more, or MAX_CONNECTIONS to ${room} or less`
  );
}

/** Sockets that were closed to keep descriptors, by all listeners of the process. */
export const closedAtLimit: { count: number } = { count: 0 };

/**
 * Keeps descriptors for the store: past the others an accepted socket is closed before anybody
 * sees it. The number of a descriptor says how many are in use, since the lowest free one is given.
 * `told` gets how many were closed since it was called last.
 */
export function keepDescriptors(
  server: Server,
  told: (closed: number, limit: number) => void,
  use: 'clients' | 'operators' = 'clients',
  limit: number | undefined = openFilesMax(),
): void {
  if (limit === undefined) return;
  const kept = descriptorsKept(limit);
  // Fewer descriptors are kept from operators, who come in when clients no longer do.
  const highest = limit - (use === 'clients' ? kept : Math.floor(kept * 0.75));
  let closed = 0;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const emit = server.emit.bind(server);
  // Called before all other listeners, those of TLS and HTTP included.
  server.emit = (event: string, ...values: unknown[]): boolean => {
    const [socket] = values;
    if (event !== 'connection' || descriptorOf(socket) < highest) return emit(event, ...values);
    (socket as Socket).destroy();
    closed += 1;
    closedAtLimit.count += 1;
    const nowMs = performance.now();
    if (nowMs - toldAtMs >= toldEveryMs) {
      told(closed, limit);
      toldAtMs = nowMs;
      closed = 0;
    }
    return true;
  };
}

/** Number of the socket's descriptor; −1: unknown. */
function descriptorOf(socket: unknown): number {
  const { _handle: handle } = socket as { _handle?: { fd?: number } | null };
  return handle?.fd ?? -1;
}
