/**
 * The types of records in the log: a number, once given, keeps its meaning. 1 to 15 belong to the
 * queue store, 16 to 127 to the session, retained and registry stores.
 */
export const RecordType = {
  /** Record of the journal itself: it has nothing but the times in the block's header. */
  tick: 0,
  message: 1,
  queueDropped: 2,

  sessionPut: 16,
  sessionRemoved: 17,
  subscriptionsPut: 18,
  subscriptionsRemoved: 19,
  sessionWrite: 20,
  willPut: 21,
  willDue: 22,
  willRemoved: 23,

  groupPut: 32,
  groupRemoved: 33,
  groupDone: 34,

  retainedPut: 40,

  delayedPut: 44,
  delayedRemoved: 45,
  clientSeen: 46,
  clientGone: 47,

  queueIdsReserved: 48,
  nodeAttached: 49,
  nodeEnded: 50,
  replayQueue: 51,

  retryPut: 56,
  retryRemoved: 57,

  banPut: 60,
  banRemoved: 61,
} as const;
