// Writes the pages of docs/ that are made from the code: settings and metrics. --check only compares.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { format, resolveConfig } from 'prettier';

import { settingsMarkdown } from '../services/common/dist/src/settings/describe.js';
import { metricsMarkdown } from './metrics-page.mjs';

const root = join(import.meta.dirname, '..');
const pages = [
  {
    path: 'docs/settings.md',
    text: () => `# Settings

This page is made from \`services/common/src/settings/table.ts\` by \`npm run docs\`.

A setting can be a flag (\`--mqtt-port 2883\`), a variable in the environment (\`LMQTT_MQTT_PORT=2883\`) or
a line in a file (\`MQTT_PORT=2883\`) that \`--config FILE\` names, which may be given several times. Flags
count more than the environment, the environment more than files. Sizes may be written as \`64k\`, \`1m\`,
\`2g\`, times as \`10s\`, \`5m\`, \`12h\`, \`7d\`. A secret can be in a file of its own, whose path the
setting with \`_FILE\` behind its name has: the flags of a process can be read by every user of its machine.

Files have the syntax of Java's properties: comments begin with \`#\` or \`!\`, \`=\`, \`:\` or white space ends a
name, a \`\\\` begins an escape (\`\\\\\` is a \`\\\` itself) and continues a line at its end. The keys of \`service.conf\`,
\`connect.conf\` and \`meta.conf\` of the Java nodes are known. Files are read again when they change: HMAC_USERNAME,
HMAC_SECRET_KEY (\`username\`, \`secretKey\`) and LOG_LEVEL count at once, all others after a restart; the log says which.

${settingsMarkdown()}
`,
  },
  {
    path: 'docs/metrics.md',
    text: () => `# Metrics

This page is made from the sources by \`npm run docs\`.

Every program serves its metrics for Prometheus at \`/metrics\` of its ops port (OPS_PORT, 9090). Counters
begin at 0 with the process. A label in brackets is there in a cluster only. A process on its own
(standalone) has those of cs and of ds. Node's own metrics (\`process_…\`, \`nodejs_…\`: CPU, memory, garbage
collection, delay of the event loop) are there as well. What to watch first is in
[operations.md](operations.md#what-to-watch).

${metricsMarkdown()}
`,
  },
];

let isOld = false;
for (const { path, text } of pages) {
  const file = join(root, path);
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const made = await format(text(), { ...(await resolveConfig(file)), parser: 'markdown' });
  if (made === current) continue;
  if (process.argv.includes('--check')) {
    console.error(`${path} is old; run \`npm run docs\``);
    isOld = true;
    continue;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, made);
}
process.exitCode = isOld ? 1 : 0;
