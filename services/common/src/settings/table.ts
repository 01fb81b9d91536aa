// The one source of every setting: the file, the environment, the flags, their checks, `--help`,
// the table in docs/settings.md, the metric of each limit and the type `Settings` all come from here.
//
// The rows are in a file for each subject, in the order in which the help and the docs show them.
// A row is a literal, so that its type can be read off it. `default: null` means "unset": the
// setting is then `null` unless given. `limit` makes the row a limit: its text is what the client
// sees, and `lmqtt_limit_total{limit="<name in lower case>"}` counts how often it was reached.
import { access } from './table/access.ts';
import { bans } from './table/bans.ts';
import { connectionLimits } from './table/connection-limits.ts';
import { deadLetters } from './table/dead-letters.ts';
import { delayed } from './table/delayed.ts';
import { hooks } from './table/hooks.ts';
import { identities } from './table/identities.ts';
import { link } from './table/link.ts';
import { listeners } from './table/listeners.ts';
import { meta } from './table/meta.ts';
import { operation } from './table/operation.ts';
import { protocol } from './table/protocol.ts';
import { queues } from './table/queues.ts';
import { redis } from './table/redis.ts';
import { retained } from './table/retained.ts';
import { rocketmq } from './table/rocketmq.ts';
import { sessionLimits } from './table/session-limits.ts';
import { storage } from './table/storage.ts';

type Table = typeof listeners &
  typeof access &
  typeof identities &
  typeof bans &
  typeof hooks &
  typeof protocol &
  typeof connectionLimits &
  typeof sessionLimits &
  typeof retained &
  typeof meta &
  typeof delayed &
  typeof queues &
  typeof deadLetters &
  typeof storage &
  typeof link &
  typeof redis &
  typeof rocketmq &
  typeof operation;

export const table: Table = {
  ...listeners,
  ...access,
  ...identities,
  ...bans,
  ...hooks,
  ...protocol,
  ...connectionLimits,
  ...sessionLimits,
  ...retained,
  ...meta,
  ...delayed,
  ...queues,
  ...deadLetters,
  ...storage,
  ...link,
  ...redis,
  ...rocketmq,
  ...operation,
};
