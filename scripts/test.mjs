// Runs the tests under node's own runner. The list is made from the sources, so that nothing runs
// whose source is gone. Without flags: all that is quick. --fault: the long runs. Further arguments
// keep only the files whose path holds one of them: npm test -- session
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const isFault = process.argv.includes('--fault');
const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const minute = 60_000;

function testsIn(folder, ending) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name}`.replaceAll('\\', '/'))
    .filter((path) => path.endsWith(ending))
    .sort();
}

/** `services/cs/test/x.test.ts` is compiled to `services/cs/dist/test/x.test.js`. */
function compiled(path) {
  return path.replace(/^(test|proto|services\/[^/]+)\//, '$1/dist/').replace(/\.ts$/, '.js');
}

function quickTests() {
  const services = readdirSync(join(root, 'services')).map((name) => `services/${name}/test`);
  const suites = ['harness', 'bench', 'contract', 'conformance', 'e2e'].map((s) => `test/${s}`);
  return [
    ...['proto/test', ...services, ...suites].flatMap((folder) => testsIn(folder, '.test.ts')),
    ...testsIn('test/fault', '.quick.test.ts'),
  ];
}

const all = isFault ? testsIn('test/fault', '.long.test.ts') : quickTests();
const files = all.filter(
  (path) => wanted.length === 0 || wanted.some((part) => path.includes(part)),
);
if (files.length === 0) {
  console.error('no test file matches');
  process.exit(1);
}
const { status } = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    // Runs of a fault suite measure and disturb: one at a time.
    `--test-concurrency=${isFault ? 1 : 2}`,
    `--test-timeout=${(isFault ? 60 : 8) * minute}`,
    '--test-reporter=spec',
    ...files.map(compiled),
  ],
  { cwd: root, stdio: 'inherit' },
);
process.exitCode = status ?? 1;
