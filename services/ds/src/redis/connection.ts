import { systemClock } from '@lmqtt/common/clock';
import { Command, Redis } from 'ioredis';
import { addressText, type RedisAddress } from '@lmqtt/redis/address';
import {
  type Client,
  commandTimeoutMsDefault,
  openClient,
  type RedisOptions,
} from '@lmqtt/redis/client';
import { DurableBarrier } from './durable-barrier.ts';
import { failureOf, RedisUnavailable } from './failure.ts';
import { type Argument, InFlight, type Reply, type Waiting } from './in-flight.ts';
import { KnownScripts } from './known-scripts.ts';
import { OneWrite } from './one-write.ts';
import type { Script } from './script.ts';
import { ServerTime } from './server-time.ts';
import { SilentServers } from './silent-servers.ts';
import { RedisSubscriber } from './subscriber.ts';

export type { Argument, RedisOptions, Reply };

/** `reason`: why it is down. */
type StateListener = (up: boolean, reason: string) => void;

const waitingMaxDefault = 10_000;
const openTimeoutMsDefault = 10_000;
const inFlightMax = 100_000;
const reconnectMs = 1000;
const replicaTimeoutMsMax = 2000;
const wrongLogin = /\b(WRONGPASS|NOAUTH|NOPERM)\b/;

/**
 * One connection to Redis, a Redis Cluster or the master that Sentinel names.
 *
 * Promises
 * - Commands are sent in the order in which they were given, those of one turn of the event loop
 *   in one write. While the connection is away a bounded number waits for it.
 * - Each ends within the time-out (setting), answered or with RedisUnavailable, which says whether
 *   it may have been done. Nothing is sent a second time, save by a server's own word that it did
 *   not do it. A server that has not answered in time is left and connected anew.
 * - Scripts are known to a server before it gets anything else.
 */
export class RedisConnection {
  readonly #options: RedisOptions;
  readonly #client: Client;
  readonly #address: RedisAddress;
  readonly #timeoutMs: number;
  readonly #oneWrite: OneWrite;
  readonly #sent: InFlight;
  readonly #barrier: DurableBarrier;
  readonly #time = new ServerTime();
  readonly #scripts: KnownScripts;
  readonly #silent: SilentServers;
  readonly #listeners = new Set<StateListener>();
  #waiting: Waiting[] = [];
  readonly #waitingTimes: InFlight;
  #up = false;
  #closed = false;
  #reason = 'not connected yet';
  #commands = 0;

  /** Use openRedis, which waits for it. */
  constructor(options: RedisOptions) {
    this.#options = options;
    const { client, address } = openClient(options);
    this.#client = client;
    this.#address = address;
    this.#timeoutMs = options.commandTimeoutMs ?? commandTimeoutMsDefault;
    this.#oneWrite = new OneWrite(client);
    this.#scripts = new KnownScripts(client, this.#oneWrite);
    this.#silent = new SilentServers(client, this.#timeoutMs, () =>
      this.#setState(false, this.#reason),
    );
    this.#sent = new InFlight(this.#timeoutMs, (waiting) => this.#unanswered(waiting));
    this.#waitingTimes = new InFlight(this.#timeoutMs, (waiting) => this.#unsent(waiting));
    this.#barrier = new DurableBarrier(
      client,
      address.kind !== 'single',
      Math.min(replicaTimeoutMsMax, this.#timeoutMs / 2),
    );
    client.on('ready', () => this.#ready());
    client.on('close', () => this.#away());
    client.on('error', (error: Error) => {
      this.#reason = error.message;
    });
    client.on('sentinelError', (error: Error) => {
      this.#reason = error.message;
    });
    client.on('node error', (error: Error) => {
      this.#reason = error.message;
    });
    // A slot that moved or was taken over is looked for at once, not with the next refresh.
    if (!(client instanceof Redis)) {
      client.on('-node', () => client.refreshSlotsCache());
      client.on('+node', (node: Redis) => this.#scripts.teach(node));
    }
    // The end of the library's own attempts: Sentinel asked at the wrong moment.
    client.on('end', () => {
      if (this.#closed) return;
      setTimeout(() => {
        if (!this.#closed) client.connect().catch(() => undefined);
      }, reconnectMs).unref();
    });
  }

  get up(): boolean {
    return this.#up;
  }

  /** Why it is down. */
  get reason(): string {
    return this.#reason;
  }

  /** `Redis at 127.0.0.1:6379`: no user, no password. */
  get where(): string {
    return addressText(this.#address);
  }

  get kind(): RedisAddress['kind'] {
    return this.#address.kind;
  }

  /** Commands sent so far; a script counts as one. */
  get commandCount(): number {
    return this.#commands;
  }

  /** Returns what ends it. */
  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs a script. Strings of the answer are UTF-8. */
  call(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#call(script, keys, args, false);
  }

  /** The same with each string of the answer as a Buffer. */
  callBuffer(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.#call(script, keys, args, true);
  }

  /** A command as it stands in the manual: `command('HGET', key, field)`. */
  command(name: string, ...args: Argument[]): Promise<Reply> {
    return this.#send(name, args, false);
  }

  commandBuffer(name: string, ...args: Argument[]): Promise<Reply> {
    return this.#send(name, args, true);
  }

  /**
   * Resolves when what was sent in this turn, before and after this call, is on a replica too,
   * where there are replicas; rejects where none says so. Call it in the turn of the writes and
   * await both. `key`: one of those written; only its server is asked.
   */
  durableBarrier(key?: string): Promise<void> {
    return this.#barrier.wait(key);
  }

  /** A script's answer, once it is as durable as the servers make it. */
  async callDurable(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<Reply> {
    const [reply] = await Promise.all([this.call(script, keys, args), this.#barrier.wait(keys[0])]);
    return reply;
  }

  /** Replicas of the server with the fewest. */
  get replicas(): number {
    return this.#barrier.replicas;
  }

  /** The clock of Redis in ms since 1970, as measured by `noteTime`. */
  timeMs(): number {
    return this.#time.nowMs();
  }

  /** A script said what TIME is, asked and answered at these moments of the monotonic clock. */
  noteTime(serverMs: number, askedMs: number, answeredMs: number): void {
    this.#time.note(serverMs, askedMs, answeredMs);
  }

  async measureTime(): Promise<void> {
    const askedMs = systemClock.monotonicMs();
    const reply = await this.command('TIME');
    if (!Array.isArray(reply)) return;
    this.noteTime(
      Number(reply[0]) * 1000 + Number(reply[1]) / 1000,
      askedMs,
      systemClock.monotonicMs(),
    );
  }

  /** A connection for commands that block the server's end for up to `blockMs`, one at a time. */
  openBlocking(blockMs: number): Promise<RedisConnection> {
    const commandTimeoutMs = this.#timeoutMs + blockMs;
    return openRedis({ ...this.#options, commandTimeoutMs });
  }

  /** A connection for pub/sub. */
  openSubscriber(): Promise<RedisSubscriber> {
    return RedisSubscriber.open(openClient(this.#options).client, this.#timeoutMs);
  }

  /** Commands under way end with RedisUnavailable. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#silent.stop();
    this.#barrier.stop();
    this.#setState(false, 'closed');
    this.#fail(this.#sent.stop(), 'unknown');
    this.#waiting = [];
    this.#fail(this.#waitingTimes.stop(), 'not done');
    this.#client.disconnect();
  }

  async #call(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    binary: boolean,
  ): Promise<Reply> {
    if (!this.#scripts.has(script)) {
      this.#scripts.add(script);
      if (this.#up) this.#scripts.load(script);
    }
    const rest = [keys.length, ...keys, ...args];
    try {
      return await this.#send('EVALSHA', [script.sha1, ...rest], binary);
    } catch (error) {
      // The server's scripts were flushed, or it is one that has just become the master: not done.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return this.#send('EVAL', [script.source, ...rest], binary);
    }
  }

  #send(name: string, args: readonly Argument[], binary: boolean): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const deadlineMs = systemClock.monotonicMs() + this.#timeoutMs;
      const waiting = { name, args: [...args], binary, deadlineMs, resolve, reject };
      if (this.#closed) this.#fail([waiting], 'not done');
      else if (this.#up && this.#takes()) this.#write(waiting);
      else this.#wait(waiting);
    });
  }

  /** False as well between the end of the socket and the event that says so. */
  #takes(): boolean {
    const client = this.#client;
    return client.status === 'ready' && (!(client instanceof Redis) || client.stream.writable);
  }

  #wait(waiting: Waiting): void {
    if (this.#waiting.length >= (this.#options.waitingMax ?? waitingMaxDefault)) {
      this.#fail([waiting], 'not done');
      return;
    }
    this.#waiting.push(waiting);
    this.#waitingTimes.add(waiting);
  }

  #write(waiting: Waiting): void {
    if (this.#sent.count >= inFlightMax) {
      this.#reason = 'too many commands wait for their answers';
      this.#fail([waiting], 'not done');
      return;
    }
    this.#oneWrite.begin();
    this.#commands += 1;
    this.#sent.add(waiting);
    const command = new Command(waiting.name, waiting.args, {
      replyEncoding: waiting.binary ? null : 'utf8',
    });
    command.promise.then(
      (reply: Reply) => {
        if (this.#sent.delete(waiting)) waiting.resolve(reply);
      },
      (error: unknown) => {
        if (this.#sent.delete(waiting)) waiting.reject(failureOf(error));
      },
    );
    void this.#client.sendCommand(command);
  }

  #ready(): void {
    this.#time.reset();
    this.#scripts.loadAll();
    this.#barrier.look().then(
      () => this.#open(),
      () => this.#open(),
    );
  }

  #open(): void {
    if (this.#closed || this.#client.status !== 'ready') return;
    this.#barrier.start();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#setState(true, '');
    for (const one of waiting) if (this.#waitingTimes.delete(one)) this.#write(one);
  }

  #away(): void {
    this.#setState(false, this.#reason === '' ? 'the connection was lost' : this.#reason);
  }

  #setState(up: boolean, reason: string): void {
    this.#reason = reason;
    if (this.#up === up) return;
    this.#up = up;
    for (const listener of this.#listeners) listener(up, reason);
  }

  #unsent(waiting: Waiting[]): void {
    const gone = new Set(waiting);
    this.#waiting = this.#waiting.filter((one) => !gone.has(one));
    this.#fail(waiting, 'not done');
  }

  #unanswered(waiting: Waiting[]): void {
    this.#reason = `no answer within ${this.#timeoutMs} ms`;
    this.#fail(waiting, 'unknown');
    this.#silent.probe();
  }

  #fail(waiting: readonly Waiting[], outcome: 'not done' | 'unknown'): void {
    for (const one of waiting) {
      one.reject(new RedisUnavailable(`${this.where}: ${this.#reason}`, outcome));
    }
  }
}

/**
 * Resolves when it is up. Rejects with RedisUnavailable after the time for opening, at once where
 * the login is refused.
 */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const connection = new RedisConnection(options);
  const openTimeoutMs = options.openTimeoutMs ?? openTimeoutMsDefault;
  const failure = await new Promise<string | undefined>((resolve) => {
    const end = (reason?: string): void => {
      clearTimeout(timer);
      clearInterval(look);
      stop();
      resolve(reason);
    };
    const timer = setTimeout(() => end(connection.reason), openTimeoutMs);
    const look = setInterval(() => {
      if (wrongLogin.test(connection.reason)) end(connection.reason);
    }, 20);
    const stop = connection.onState((up) => {
      if (up) end();
    });
  });
  if (failure === undefined) return connection;
  connection.close();
  throw new RedisUnavailable(`${connection.where}: ${failure}`, 'not done');
}
