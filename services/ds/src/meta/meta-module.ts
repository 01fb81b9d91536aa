// A module of META_MODULE, or functions of a program that embeds the broker. Hides how long a
// function may take (META_TIMEOUT_MS), and that each failure is counted and told: whoever calls one
// gets a rejection, and decides what follows.
import { boundTo, loadModule } from '../hooks/load-module.ts';
import {
  type MetaFunction,
  type MetaFunctions,
  metaFunctions,
  type RetainedRecord,
  type SeedLists,
} from './meta.ts';

interface MetaModuleOptions {
  readonly timeoutMs: number;
  readonly failed: (name: MetaFunction, problem: string) => void;
}

const names = [...metaFunctions, 'close'] as const;

export class MetaModule {
  readonly functions: MetaFunctions;
  readonly #options: MetaModuleOptions;

  /** Rejects where the module cannot be loaded, or keeps nothing. */
  static async open(path: string, options: MetaModuleOptions): Promise<MetaModule> {
    try {
      return new MetaModule(await loadModule(path, names), options);
    } catch (error) {
      throw new Error(`META_MODULE ${path}: ${problemOf(error)}`, { cause: error });
    }
  }

  /** Throws where the functions do not belong together. */
  constructor(functions: MetaFunctions, options: MetaModuleOptions) {
    this.functions = boundTo(functions, names);
    this.#options = options;
    const { firstTopics, listRetained, putRetained, deleteRetained } = this.functions;
    const retained = [listRetained, putRetained, deleteRetained].filter((one) => one !== undefined);
    if (retained.length !== 0 && retained.length !== 3)
      throw new Error('it has not all of listRetained, putRetained and deleteRetained');
    if (firstTopics === undefined && retained.length === 0)
      throw new Error('it has neither firstTopics nor listRetained');
  }

  get keepsRetained(): boolean {
    return this.functions.putRetained !== undefined;
  }

  get hasSeeds(): boolean {
    return this.functions.firstTopics !== undefined;
  }

  async seeds(): Promise<SeedLists> {
    const { firstTopics: askTopics, wildcards, connectNodes } = this.functions;
    const firstTopics = await this.#list('firstTopics', () => askTopics?.() ?? []);
    const filters = new Map<string, readonly string[]>();
    if (wildcards !== undefined)
      for (const topic of firstTopics)
        filters.set(topic, await this.#list('wildcards', () => wildcards(topic)));
    const nodes = await this.#list('connectNodes', () => connectNodes?.() ?? []);
    return { firstTopics, filters, nodes };
  }

  async put(record: RetainedRecord): Promise<void> {
    await this.#inTime('putRetained', () => this.functions.putRetained?.(record));
  }

  async delete(topic: string): Promise<void> {
    await this.#inTime('deleteRetained', () => this.functions.deleteRetained?.(topic));
  }

  /** All retained messages; each step may take its time. */
  async *list(): AsyncIterable<RetainedRecord> {
    const records = await this.#inTime('listRetained', async () => {
      const said = await this.functions.listRetained?.();
      // An empty list would take all messages out of the broker's own store.
      if (said === undefined) throw new Error('the answer is no list');
      return iteratorOf(said);
    });
    for (;;) {
      const next = await this.#inTime('listRetained', () => records.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  /** What was said cannot be used. */
  fails(name: MetaFunction, error: unknown): void {
    this.#options.failed(name, problemOf(error));
  }

  close(): void {
    try {
      void this.functions.close?.();
    } catch {
      // The process ends, with or without it.
    }
  }

  #list(
    name: MetaFunction,
    ask: () => readonly string[] | Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    return this.#inTime(name, async () => {
      const said: unknown = await ask();
      if (!Array.isArray(said) || !said.every((one) => typeof one === 'string'))
        throw new Error('the answer is no list of texts');
      return said;
    });
  }

  async #inTime<Said>(name: MetaFunction, ask: () => Said | Promise<Said>): Promise<Said> {
    const { timeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([ask(), late]);
    } catch (error) {
      this.fails(name, error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function iteratorOf(
  records: Iterable<RetainedRecord> | AsyncIterable<RetainedRecord>,
): Iterator<RetainedRecord> | AsyncIterator<RetainedRecord> {
  if (Symbol.asyncIterator in records) return records[Symbol.asyncIterator]();
  return records[Symbol.iterator]();
}

function problemOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
