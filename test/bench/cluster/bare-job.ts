// The job that is run beside a row without our nodes, and its result.

export type BareWork =
  | {
      readonly kind: 'loop';
      readonly senders: { readonly lanes: number } | { readonly pipelineWindow: number };
      readonly ratePerS?: number;
    }
  | { readonly kind: 'pulls'; readonly messages: number; readonly outstanding: number };

export interface BareJob {
  /** host:port of the broker. */
  readonly broker: string;
  readonly work: BareWork;
  readonly seconds: number;
}

export interface BareFigures {
  /** Stored, or pulled. */
  readonly perS: number;
  /** At the tails, which fall behind a full pipeline: each has one pull outstanding. */
  readonly receivedPerS: number;
  /** A latency of a backlog is not told: 0. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly late: number;
  readonly refused: number;
}
