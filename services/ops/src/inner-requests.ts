// Requests that another node has let in and passes on, because what they ask about is here.
import type { Caller } from './access.ts';

/** A request of a caller who has been let in. */
export interface InnerRequest {
  readonly caller: Caller;
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** JSON; '': none. */
  readonly body: string;
}

/** The same as it comes from another node, whose roles may be others. */
export interface ForeignRequest extends Omit<InnerRequest, 'caller'> {
  readonly caller: Omit<Caller, 'role'> & { readonly role: string };
}

export interface InnerAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Rejects with a `StoreFailure` where no node can answer. */
export type Forward = (request: InnerRequest) => Promise<InnerAnswer>;
