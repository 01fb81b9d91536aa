// The registry's log of routes in memory, as its scripts keep it, for several ds. The test says what
// becomes of each request and which words of the log come.
import type { Argument, Reply } from '../src/redis/connection.ts';
import type { Script } from '../src/redis/script.ts';
import type { RegistryRedis } from '../src/registry/redis/membership.ts';

/** lost: never done; unanswered: done, and nobody is told. */
export type RequestFate = 'answered' | 'lost' | 'unanswered';

interface Entry {
  readonly before: number;
  readonly number: number;
  readonly text: string;
}

export class RouteRegistry {
  life = 'life-1';
  readonly joins: Map<string, string> = new Map();
  readonly applied: Map<string, number> = new Map();
  readonly restored: Map<string, string> = new Map();
  readonly queues: Map<number, { readonly name: string; readonly place: string }> = new Map();
  readonly holders: Set<string> = new Set();
  /** Queues by `cs NUL 0 NUL ds NUL join`. */
  readonly pairs: Map<string, Set<number>> = new Map();
  readonly #log: Entry[] = [];
  readonly #channels: ((channel: string, text: string) => void)[] = [];
  #last = 0;
  #queue = 0;

  /** Hears what is published. */
  listen(listener: (channel: string, text: string) => void): void {
    this.#channels.push(listener);
  }

  /** Entries that are old are gone. */
  trim(): void {
    this.#log.splice(0, Math.max(0, this.#log.length - 1));
  }

  get last(): number {
    return this.#last;
  }

  idOf(name: string): number | undefined {
    for (const [queue, its] of this.queues) if (its.name === name) return queue;
    return undefined;
  }

  call(script: string, [life, ds, join, ...args]: readonly string[]): Reply[] {
    if (life !== this.life) return ['lost'];
    if (this.joins.get(ds!) !== join) return ['ended'];
    switch (script) {
      case 'change':
        return this.#change(ds!, join!, args);
      case 'follow':
        return this.#follow(Number(args[0]), Number(args[1]));
      case 'report':
        return this.#report(ds!, Number(args[0]), args[1] === '1');
      case 'alive':
        return ['ok', `${this.#last}`, this.#alive()];
      case 'restored':
        this.restored.set(ds!, this.life);
        return ['ok'];
      case 'forget':
        return this.#forget();
      default:
        throw new Error(`${script} is not known here`);
    }
  }

  command(name: string, key: string): Reply {
    if (name === 'HSCAN') {
      const all = [...this.queues].flatMap(([queue, its]) => {
        return [`${queue}`, `${its.name}\0${its.place}`];
      });
      return ['0', all];
    }
    if (name === 'SMEMBERS') return [...this.pairs.keys()];
    const pair = key.slice(key.indexOf('i:') + 2);
    return ['0', [...(this.pairs.get(pair) ?? [])].map(String)];
  }

  #alive(): Reply[] {
    return [...this.joins.keys()].flatMap((ds) => {
      return [ds, `${this.applied.get(ds) ?? ''}`, this.restored.get(ds) ?? ''];
    });
  }

  #append(changes: readonly string[]): string[] {
    const before = this.#last;
    if (changes.length === 0) return [`${before}`, `${before}`, ''];
    // Numbers grow by more than one, as those of Redis do.
    this.#last += 3;
    const text = changes.join('\0');
    this.#log.push({ before, number: this.#last, text });
    this.#tell('log', `${before}\0${this.#last}\0${text}`);
    return [`${before}`, `${this.#last}`, text];
  }

  #tell(channel: string, text: string): void {
    for (const listener of this.#channels) listener(channel, text);
  }

  #change(ds: string, join: string, args: readonly string[]): Reply[] {
    const changes: string[] = [];
    const queues: string[] = [];
    for (let at = 0; at < args.length; at += 6) {
      const [op, id, name = '', place = '', holder = '', cs = ''] = args.slice(at, at + 6);
      let queue = id === '' ? this.idOf(name) : Number(id);
      if (op === 'o') {
        queue = this.idOf(name);
        if (queue === undefined) {
          queue = this.#queue += 1;
          this.queues.set(queue, { name, place });
          changes.push('o', `${queue}`, name, place);
        }
        queues.push(`${queue}`);
        if (holder !== '') this.holders.add(`${queue}\0${holder}`);
      }
      if (queue === undefined) continue;
      if (op === 'r') this.holders.delete(`${queue}\0${holder}`);
      if (cs === '') continue;
      const key = [cs, '0', ds, join].join('\0');
      const pair = this.pairs.get(key) ?? new Set();
      this.pairs.set(key, pair);
      if (op === 'o' && !pair.has(queue)) {
        pair.add(queue);
        changes.push('i', `${queue}`, cs, ds);
      } else if (op === 'u' && pair.delete(queue)) changes.push('n', `${queue}`, cs, ds);
    }
    return ['ok', ...this.#append(changes), this.#alive(), queues];
  }

  #follow(from: number, countMax: number): Reply[] {
    if (from === this.#last) return ['ok', `${this.#last}`];
    const first = this.#log.findIndex(({ number }) => number > from);
    const entries = first === -1 ? [] : this.#log.slice(first, first + Math.min(countMax, 2));
    if (entries[0]?.before !== from)
      return from < (this.#log[0]?.before ?? 0) ? ['trimmed'] : ['lost'];
    const texts = entries.flatMap(({ before, number, text }) => [`${before}`, `${number}`, text]);
    return ['ok', `${this.#last}`, ...texts];
  }

  #report(ds: string, number: number, begins: boolean): Reply[] {
    if (begins && number !== this.#last) return ['behind'];
    if (begins) this.restored.set(ds, this.life);
    else if (!this.applied.has(ds)) return ['ok', `${this.#last}`];
    this.applied.set(ds, number);
    this.#tell('applied', `${ds}\0${number}`);
    return ['ok', `${this.#last}`];
  }

  #forget(): Reply[] {
    const changes: string[] = [];
    for (const [pair, queues] of this.pairs) {
      const [cs, , ds, join] = pair.split('\0');
      if (this.joins.get(ds!) === join) continue;
      for (const queue of queues) changes.push('n', `${queue}`, cs!, ds!);
      this.pairs.delete(pair);
    }
    return ['ok', ...this.#append(changes), '0'];
  }
}

/** The way of one ds to that registry. */
export class RouteConnection implements RegistryRedis {
  readonly #registry: RouteRegistry;
  readonly #listeners = new Map<string, (text: string) => void>();
  readonly #gaps: (() => void)[] = [];
  /** Published, and not heard yet. */
  readonly words: { readonly channel: string; readonly text: string }[] = [];
  /** Fates of the next requests. */
  readonly fates: RequestFate[] = [];
  /** Names of the scripts that were called. */
  readonly called: string[] = [];

  constructor(registry: RouteRegistry) {
    this.#registry = registry;
    registry.listen((channel, text) => this.words.push({ channel, text }));
  }

  async call(
    script: Script,
    _keys: readonly Argument[],
    args: readonly Argument[],
  ): Promise<Reply> {
    this.called.push(script.name);
    const fate = this.fates.shift() ?? 'answered';
    await new Promise((resolve) => setImmediate(resolve));
    if (fate === 'lost') throw new Error('lost');
    const reply = this.#registry.call(script.name, args.map(String));
    await new Promise((resolve) => setImmediate(resolve));
    if (fate === 'unanswered') throw new Error('no answer');
    return reply;
  }

  callDurable(
    script: Script,
    keys: readonly Argument[],
    args: readonly Argument[],
  ): Promise<Reply> {
    return this.call(script, keys, args);
  }

  command(name: string, key: Argument = ''): Promise<Reply> {
    return Promise.resolve(this.#registry.command(name, String(key)));
  }

  subscribe(channel: string, listener: (text: string) => void): Promise<() => void> {
    this.#listeners.set(channel, listener);
    return Promise.resolve(() => undefined);
  }

  onGap(listener: () => void): () => void {
    this.#gaps.push(listener);
    return () => undefined;
  }

  /** So many of the words come; others before them may never. */
  hear(count: number): void {
    for (const { channel, text } of this.words.splice(0, count))
      this.#listeners.get(channel)?.(text);
  }

  /** What was not heard never comes, and the subscriber says so. */
  lose(): void {
    this.words.length = 0;
    for (const listener of this.#gaps) listener();
  }
}
