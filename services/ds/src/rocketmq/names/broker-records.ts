// Records of brokers in the registry: a number for each, and which numbers were forgotten. Numbers
// are given once: a broker that comes back after its name was forgotten is another one, with
// another number, because positions that sessions keep name brokers by number.
export const brokerRecordKind = 'rocketmq-broker';
export const forgottenRecordKind = 'rocketmq-broker-forgotten';
export const placementRecordKind = 'rocketmq-placement';

export interface ForgottenBroker {
  readonly name: string;
  /** Wall clock. */
  readonly atMs: number;
}

/** The key of a broker's number; names of brokers have no spaces. */
export function brokerKey(name: string, timesForgotten: number): string {
  return timesForgotten === 0 ? name : `${name} ${timesForgotten}`;
}

export function brokerOfKey(key: string): {
  readonly name: string;
  readonly timesForgotten: number;
} {
  const [name = '', times] = key.split(' ');
  return { name, timesForgotten: Number(times ?? 0) };
}

/** By number, of a record of each. */
export function forgottenIn(records: ReadonlyMap<string, string>): Map<number, ForgottenBroker> {
  const forgotten = new Map<number, ForgottenBroker>();
  for (const [number, text] of records) {
    const [atMs, name] = text.split(' ');
    forgotten.set(Number(number), { name: name ?? '', atMs: Number(atMs) });
  }
  return forgotten;
}

export function forgottenText({ name, atMs }: ForgottenBroker): string {
  return `${atMs} ${name}`;
}
