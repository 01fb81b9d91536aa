// One ds and some cs in the foreground, each line with the name of its process; Ctrl-C stops all of
// them, and so does the end of any.
import { randomBytes } from 'node:crypto';

import { setUpPrograms } from './checkout.mjs';
import { Foreground } from './foreground.mjs';

const usage = `npm run dev:split -- [--cs 2] [--rpc-port 7010] [--mqtt-port 1883] [--ws-port 8888]
                     [--ops-port 9091] [--data-dir data-split] [further settings, of all]

One ds and some cs in the foreground, each line with the name of its process. Ctrl-C stops all of
them, and so does the end of any. The first cs has the ports that are given, each further one the
next; ds has the ops port, and the cs those after it. A port of 0 is any free one.
`;

const given = {
  cs: '2',
  'rpc-port': '7010',
  'mqtt-port': '1883',
  'ws-port': '8888',
  'ops-port': '9091',
  'data-dir': 'data-split',
};
const further = [];
const args = process.argv.slice(2);
if (args.includes('--help') || args.includes('-h')) {
  process.stdout.write(usage);
  process.exit(0);
}
while (args.length > 0) {
  const arg = args.shift();
  const equals = arg.indexOf('=');
  const name = (equals === -1 ? arg : arg.slice(0, equals)).replace(/^--/, '');
  if (name in given) given[name] = equals === -1 ? (args.shift() ?? '') : arg.slice(equals + 1);
  else further.push(arg);
}
const nodes = Number(given.cs);
for (const name of ['cs', 'rpc-port', 'mqtt-port', 'ws-port', 'ops-port']) {
  if (/^\d+$/.test(given[name])) continue;
  console.error(`dev:split: --${name} must be a number`);
  process.exit(2);
}

/** The port of the nth process that has such a one, from 0. */
const port = (name, index) => (given[name] === '0' ? '0' : String(Number(given[name]) + index));

const nameColumns = 'ds'.length + String(nodes).length + 1;
const foreground = new Foreground('dev:split', nameColumns, console.log);
const secret = randomBytes(16).toString('hex');
/** The cs end first, since they take leave of ds. */
const rowOf = { ds: 0, cs: 1 };

function start(command, name, flags) {
  const env = {
    LMQTT_LOG_LEVEL: 'warn',
    ...process.env,
    ...{ LMQTT_CLUSTER_SECRET: secret, LMQTT_NODE_ID: name },
  };
  return foreground.start(rowOf[command], name, command, [...flags, ...further], { env });
}

setUpPrograms();
const ds = start('ds', 'ds', [
  ...['--rpc-port', given['rpc-port'], '--ops-port', port('ops-port', 0)],
  ...['--data-dir', given['data-dir']],
]);
const rpc = /rpc=(\S+)/.exec(await ds.listening)?.[1];
const cs = Array.from({ length: nodes }, (_, index) =>
  start('cs', `cs-${index + 1}`, [
    ...['--ds', rpc, '--mqtt-port', port('mqtt-port', index), '--ws-port', port('ws-port', index)],
    ...['--ops-port', port('ops-port', index + 1)],
  ]),
);
await Promise.all([ds, ...cs].map((child) => child.ready));
if (!foreground.isStopping) {
  console.log(`dev:split: ds and ${nodes} cs run; Ctrl-C stops them`);
}
