/**
 * Answer to the wish that a node drains, or no more. `unknown`: there is no such node; `alone`: it is
 * the only ds, and nobody could have its work.
 */
export type DrainOutcome = 'asked' | 'unknown' | 'alone';
