// The condition under which a row is measured: its stores, and the settings of RocketMQ.

/** `split`: a ds on its own disk, without RocketMQ and Redis. */
export const shapes = ['cluster', 'split'] as const;
export type ClusterShape = (typeof shapes)[number];

export const flushes = ['async', 'sync'] as const;
export type Flush = (typeof flushes)[number];

/** Threads of the broker's pool that stores messages. */
export const threadCounts = ['default', 'one'] as const;
export type Threads = (typeof threadCounts)[number];

export const storeTypes = ['file', 'rocksdb'] as const;
export type StoreType = (typeof storeTypes)[number];

export interface Condition {
  readonly shape: ClusterShape;
  readonly flush: Flush;
  readonly threads: Threads;
  readonly store: StoreType;
}

export function conditionText({ shape, flush, threads, store }: Condition): string {
  if (shape === 'split') return 'own disk';
  const text = `${flush.toUpperCase()}_FLUSH, ${threads === 'one' ? 'one send thread' : 'default send threads'}`;
  return store === 'rocksdb' ? `${text}, RocksDB` : text;
}
