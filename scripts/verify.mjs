// Everything that is checked without running the programs; all of it runs, then the verdict.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

function run(script, args = []) {
  const { status } = spawnSync(process.execPath, [join(root, script), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  return status === 0;
}

function versionsAgree() {
  const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
  const source = readFileSync(join(root, 'services/common/src/version.ts'), 'utf8');
  if (source.includes(`'${version}'`)) return true;
  console.error(`services/common/src/version.ts does not say ${version}`);
  return false;
}

const checks = [
  [
    'format',
    () => run('node_modules/prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']),
  ],
  ['types', () => run('node_modules/typescript/bin/tsc', ['-b'])],
  ['lint', () => run('node_modules/oxlint/bin/oxlint', ['--deny-warnings'])],
  ['imports', () => run('scripts/imports.mjs')],
  ['docs', () => run('scripts/docs.mjs', ['--check'])],
  ['links', () => run('scripts/links.mjs')],
  ['version', versionsAgree],
];

const failed = checks.filter(([, check]) => !check()).map(([name]) => name);
console.log(failed.length === 0 ? 'verify: all well' : `verify: failed: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
