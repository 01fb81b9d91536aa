// Writes the pages of docs/ that are made from the code: the table of settings. --check only compares.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { format, resolveConfig } from 'prettier';

import { settingsMarkdown } from '../services/common/dist/src/settings/describe.js';

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

${settingsMarkdown()}
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
