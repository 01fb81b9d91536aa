import type { Clock } from '@lmqtt/common/clock';
import type { Logs } from '@lmqtt/common/log';
import type { Metrics } from '@lmqtt/common/metrics';
import { RepeatedLines } from '@lmqtt/common/repeated-lines';
import type { Settings } from '@lmqtt/common/settings/row';
import type { RetainedStore } from '../retained-store/retained-store.ts';
import { type MetaFunctions, metaFunctions, type SeedLists } from './meta.ts';
import { MetaModule } from './meta-module.ts';
import { WrittenRetained } from './written-retained.ts';

interface MetaOptions {
  readonly settings: Settings;
  readonly metrics: Metrics;
  readonly logs: Logs;
  readonly clock: Clock;
  /** Functions in place of a module of META_MODULE. */
  readonly functions?: MetaFunctions | undefined;
}

/** Topics may be deleted where none may have a message. */
const unwrittenMin = 1000;

/** What the module keeps, joined to the stores of a ds. */
export interface OpenMeta<Retained extends RetainedStore> {
  readonly retained: RetainedStore;
  /** The node's own store, which `retained` speaks to. */
  readonly inner: Retained;
  /** Undefined: the module has none. */
  readonly seeds: (() => Promise<SeedLists>) | undefined;
  /** Reads the retained messages; see {@link WrittenRetained.load}. */
  load(whole: boolean): Promise<void>;
  /** Writes what is pending, for a time. */
  close(): Promise<void>;
}

/** Rejects where META_MODULE cannot be loaded. Without one the node's own stores are all there is. */
export async function openMeta<Retained extends RetainedStore>(
  { settings, metrics, logs, clock, functions }: MetaOptions,
  inner: Retained,
): Promise<OpenMeta<Retained>> {
  if (settings.metaModule === null && functions === undefined)
    return {
      retained: inner,
      inner,
      seeds: undefined,
      load: async () => {},
      close: async () => {},
    };
  const failures = metrics.counters(
    'lmqtt_meta_failures_total',
    'Functions of META_MODULE that threw, gave no answer in time, or one that cannot be used',
    'function',
    metaFunctions,
  );
  const lines = new RepeatedLines(clock);
  const moduleOptions = {
    timeoutMs: settings.metaTimeoutMs,
    failed: (name: (typeof metaFunctions)[number], problem: string) => {
      failures[name] += 1;
      const unsaid = lines.due(name);
      if (unsaid !== undefined)
        logs.broker.error({ function: name, problem, unsaid }, 'META_MODULE fails');
    },
  };
  const module =
    functions === undefined
      ? await MetaModule.open(settings.metaModule ?? '', moduleOptions)
      : new MetaModule(functions, moduleOptions);
  const seeds = module.hasSeeds ? (): Promise<SeedLists> => module.seeds() : undefined;
  const closeModule = async (): Promise<void> => module.close();
  if (!module.keepsRetained)
    return { retained: inner, inner, seeds, load: async () => {}, close: closeModule };
  const written = new WrittenRetained(inner, module, {
    passesFailures: settings.metaWhenFailing === 'pass',
    unwrittenMax: Math.max(unwrittenMin, settings.maxRetainedMessages),
  });
  metrics.gauge(
    'lmqtt_meta_unwritten',
    'Topics whose retained messages META_MODULE does not have as they are',
    () => written.unwritten,
  );
  return {
    ...{ retained: written, inner, seeds },
    load: (whole) => written.load(whole),
    close: async () => {
      await written.flush(settings.metaTimeoutMs);
      written.close();
      module.close();
    },
  };
}
