/**
 * The types of records in the log: a number, once given, keeps its meaning. 1 to 15 belong to the
 * queue store, 16 to 127 to the session, retained and registry stores.
 */
export const RecordType = {
  /** Of the journal itself: nothing but the times in the block's header. */
  tick: 0,
  message: 1,
  queueDropped: 2,
} as const;
