// One ds and some cs in the foreground, each line with the name of its process; Ctrl-C stops all of
// them, and so does the end of any.
//
//   npm run dev:split -- [--cs 2] [--rpc-port 7010] [--mqtt-port 1883] [--ws-port 8888]
//                        [--ops-port 9091] [--data-dir data-split] [further settings, of all]
//
// The first cs has the ports that are given, each further one the next; ds has the ops port, and
// the cs those after it. A port of 0 is any free one.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { setUpPrograms } from './checkout.mjs';

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

const main = join(import.meta.dirname, '../services/standalone/dist/src/main.js');
const nameColumns = 'ds'.length + String(nodes).length + 1;
const secret = randomBytes(16).toString('hex');
/** In the order of their start. */
const running = [];
let stopping;

function start(command, name, flags) {
  const process_ = spawn(
    process.execPath,
    ['--enable-source-maps', main, command, ...flags, ...further],
    {
      // A group of its own: Ctrl-C comes to us alone, and we end the cs before their ds.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        LMQTT_LOG_LEVEL: 'warn',
        ...process.env,
        ...{ LMQTT_CLUSTER_SECRET: secret, LMQTT_NODE_ID: name },
      },
    },
  );
  const label = name.padEnd(nameColumns);
  const ended = new Promise((resolve) => process_.once('close', resolve));
  const ready = new Promise((resolve) => {
    createInterface({ input: process_.stdout }).on('line', (line) => {
      console.log(`${label} | ${line}`);
      if (line.startsWith('ready ')) resolve(line);
    });
  });
  createInterface({ input: process_.stderr }).on('line', (line) => {
    console.error(`${label} | ${line}`);
  });
  const child = { process: process_, ready, ended };
  running.push(child);
  void ended.then((code) => {
    if (stopping !== undefined) return;
    console.error(`dev:split: ${name} ended with ${code ?? 'a signal'}`);
    void stop('SIGTERM', 1);
  });
  return child;
}

/** The cs first, since they take leave of ds. */
function stop(signal, code) {
  stopping ??= (async () => {
    const [ds, ...cs] = running;
    for (const child of cs) child.process.kill(signal);
    await Promise.all(cs.map((child) => child.ended));
    ds?.process.kill(signal);
    await ds?.ended;
    process.exit(code);
  })();
  return stopping;
}

/** One key press comes twice where npm passes it on. */
const samePressMs = 300;
let firstPressMs;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    firstPressMs ??= performance.now();
    void stop('SIGTERM', 0);
    if (performance.now() - firstPressMs < samePressMs) return;
    for (const child of running) child.process.kill('SIGKILL');
  });
}

setUpPrograms();
const ds = start('ds', 'ds', [
  ...['--rpc-port', given['rpc-port'], '--ops-port', port('ops-port', 0)],
  ...['--data-dir', given['data-dir']],
]);
const rpc = /rpc=(\S+)/.exec(await ds.ready)?.[1];
const cs = Array.from({ length: nodes }, (_, index) =>
  start('cs', `cs-${index + 1}`, [
    ...['--ds', rpc, '--mqtt-port', port('mqtt-port', index), '--ws-port', port('ws-port', index)],
    ...['--ops-port', port('ops-port', index + 1)],
  ]),
);
await Promise.all(cs.map((child) => child.ready));
if (stopping === undefined) console.log(`dev:split: ds and ${nodes} cs run; Ctrl-C stops them`);
