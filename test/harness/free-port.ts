// Ports that a process can be given for all its lives: below those that the system hands out by
// itself, so that no connection takes one while the process is away. Each test process takes them
// from blocks of its own, so that no other one is given a port that is not listened on yet or just
// now: it holds a block by listening on the block's first port until it ends.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Above 10,080, the last of those to which `fetch` does not connect. */
const portMin = 10_081;
const portMax = 32_000;
/** More than one test process mostly needs. */
const portsEach = 128;
const blockCount = Math.floor((portMax - portMin) / portsEach);

/** Number of the block that is tried next. */
let turn = process.pid;
/** The rest of the block that was taken last. */
let next = 0;
let end = 0;

async function listenOn(port: number): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ port, host: '127.0.0.1', exclusive: true });
  try {
    await once(server, 'listening');
  } catch {
    return undefined;
  }
  return server;
}

export async function isFree(port: number): Promise<boolean> {
  const server = await listenOn(port);
  if (server === undefined) return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function takeBlock(): Promise<void> {
  for (let tries = 0; tries < blockCount; tries += 1) {
    const first = portMin + (turn % blockCount) * portsEach;
    turn += 1;
    const holder = await listenOn(first);
    if (holder === undefined) continue;
    holder.unref();
    next = first + 1;
    end = first + portsEach;
    return;
  }
  throw new Error(`all blocks of ports from ${portMin} to ${portMax} are taken`);
}

/** The first of so many ports in a row, all of them free. */
export async function freePorts(count: number): Promise<number> {
  if (count >= portsEach) throw new RangeError(`more ports in a row than ${portsEach - 1}`);
  for (;;) {
    while (end - next < count) await takeBlock();
    const first = next;
    next += count;
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (!free.includes(false)) return first;
  }
}

export function freePort(): Promise<number> {
  return freePorts(1);
}
