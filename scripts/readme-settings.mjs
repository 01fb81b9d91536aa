// Writes the table of settings into the README, between its two markers. --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { format, resolveConfig } from 'prettier';

import { settingsMarkdown } from '../services/common/dist/src/settings/describe.js';

const readme = join(import.meta.dirname, '..', 'README.md');
const begin = '<!-- settings -->';
const end = '<!-- /settings -->';

const text = readFileSync(readme, 'utf8');
const from = text.indexOf(begin);
const to = text.indexOf(end);
if (from === -1 || to < from) {
  console.error(`README.md: ${begin} and ${end} are not there`);
  process.exit(1);
}
const table = await format(settingsMarkdown(), {
  ...(await resolveConfig(readme)),
  parser: 'markdown',
});
const current = `${text.slice(0, from + begin.length)}\n\n${table}\n${text.slice(to)}`;
if (current !== text && process.argv.includes('--check')) {
  console.error('README.md: the table of settings is old; run `npm run readme`');
  process.exit(1);
}
if (current !== text) writeFileSync(readme, current);
