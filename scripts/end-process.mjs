// For test processes. At the natural end of one Node 20 may wait for ever, with a busy processor,
// for a request of a handle that it closes (Environment::CleanupHandles). When nothing is left to
// be done, and all has been told, it ends without that. What is still open keeps it from its end as
// before: half a minute after its last test such a process says what it is, and fails.
// Each process notes its seconds in the file of LMQTT_TEST_TIMES, where there is one.
import { appendFileSync } from 'node:fs';
import { after } from 'node:test';

const openMs = 30_000;
const timesFile = process.env.LMQTT_TEST_TIMES;

function noteTime() {
  appendFileSync(timesFile, `${Math.round(process.uptime())} ${process.argv[1]}\n`);
}

const isTest = process.env.NODE_TEST_CONTEXT !== undefined;
if (isTest && timesFile !== undefined) process.on('exit', noteTime);
process.on('exit', (code) => process.exit(code));

function sayWhatIsOpen() {
  const counts = new Map();
  for (const name of process.getActiveResourcesInfo())
    counts.set(name, (counts.get(name) ?? 0) + 1);
  const open = [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
  console.error(`${process.argv[1]}: the tests have ended, and this is open: ${open}`);
  process.exit(1);
}

// In the process of the runner there are no tests.
if (isTest) after(() => setTimeout(sayWhatIsOpen, openMs).unref());
