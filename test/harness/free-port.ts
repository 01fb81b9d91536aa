// Ports that a process can be given for all its lives: below those that the system hands out by
// itself, so that no connection takes one while the process is away. Each test process goes through
// ports of its own, so that two of them do not find the same one free at the same time.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Above 10,080, the last of those to which `fetch` does not connect. */
const portMin = 10_081;
const portMax = 32_000;
const triesMax = 200;
/** More than one test process mostly needs. */
const portsEach = 251;

let asked = process.pid * portsEach;

export async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

/** The first of so many ports in a row, all of them free. */
export async function freePorts(count: number): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const first = portMin + (asked % (portMax - portMin - count));
    asked += count;
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (!free.includes(false)) return first;
  }
  throw new Error(`no ${count} free ports in a row from ${portMin} to ${portMax}`);
}

export function freePort(): Promise<number> {
  return freePorts(1);
}
