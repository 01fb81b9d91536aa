/** Fields of `Item` in link.proto. */
export const ItemField = {
  publishes: 1,
  writes: 2,
  credit: 3,
  call: 4,
  read: 5,
  presents: 6,
  published: 16,
  pushes: 17,
  assignments: 18,
  kick: 19,
  queueEnds: 20,
  durable: 21,
  answer: 22,
  readAnswer: 23,
  presented: 24,
  echoes: 25,
} as const;
