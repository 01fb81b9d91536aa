// A reporter of node:test for the scripts here: at the end one line of JSON with the counts and the
// names of the tests that failed.
import { relative } from 'node:path';

const counted = new Set(['tests', 'pass', 'fail', 'cancelled', 'skipped', 'duration_ms']);

async function* tally(events) {
  const counts = {};
  const failed = [];
  for await (const { type, data } of events) {
    // The totals; a file's own ones are not told.
    const total = type === 'test:diagnostic' && /^(\w+) ([\d.]+)$/.exec(data.message);
    if (total && data.nesting === 0 && counted.has(total[1])) counts[total[1]] = Number(total[2]);
    if (type !== 'test:fail' || data.details.error?.failureType === 'subtestsFailed') continue;
    const file = data.file === undefined ? '' : `${relative(process.cwd(), data.file)}: `;
    failed.push(`${file}${data.name}`);
  }
  yield `${JSON.stringify({ ...counts, failed })}\n`;
}

// Node looks for the default export.
// oxlint-disable-next-line import/no-default-export
export { tally as default };
