// A reporter of node:test for the scripts here: at the end one line of JSON with the counts, and the
// names of the tests that failed with the reasons that they gave.
import { relative } from 'node:path';

const counted = new Set(['tests', 'pass', 'fail', 'cancelled', 'skipped', 'duration_ms']);

const reasonLinesMax = 20;
/** A test that an earlier failure ended gives that one's reason. */
const ended = new Set(['cancelledByParent', 'subtestsFailed']);

/** The first lines of what was said, and the last ones, which are those of a server's log. */
function reasonOf(error) {
  const said = error?.cause?.message ?? error?.message ?? '';
  const lines = String(said).trimEnd().split('\n');
  if (lines.length <= reasonLinesMax) return lines.join('\n');
  return [...lines.slice(0, 5), '…', ...lines.slice(5 - reasonLinesMax)].join('\n');
}

async function* tally(events) {
  const counts = {};
  const failed = [];
  for await (const { type, data } of events) {
    // The totals; a file's own ones are not told.
    const total = type === 'test:diagnostic' && /^(\w+) ([\d.]+)$/.exec(data.message);
    if (total && data.nesting === 0 && counted.has(total[1])) counts[total[1]] = Number(total[2]);
    const { error } = data.details ?? {};
    if (type !== 'test:fail' || error?.failureType === 'subtestsFailed') continue;
    const file = data.file === undefined ? '' : `${relative(process.cwd(), data.file)}: `;
    const reason = ended.has(error?.failureType) ? '' : reasonOf(error);
    failed.push({ name: `${file}${data.name}`, reason });
  }
  yield `${JSON.stringify({ ...counts, failed })}\n`;
}

// Node looks for the default export.
// oxlint-disable-next-line import/no-default-export
export { tally as default };
