// `npm run conformance [-- 3.1.1 | 5.0]`: runs the conformance tests and prints, for each version
// of the specification, every statement that binds a server with its verdict. A statement passes
// when all tests that carry its id passed, and there is one. Exit code 1 when a row fails or has no
// test.
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import type { Statement } from './statement.ts';
import { statements as statements3 } from './statements-3.1.1.ts';
import { statements as statements5 } from './statements-5.0.ts';

interface Version {
  readonly name: string;
  /** Prefix of the test files. */
  readonly prefix: string;
  readonly statements: readonly Statement[];
}

interface Result {
  readonly name: string;
  readonly verdict: 'pass' | 'fail' | 'skipped';
  /** Why it failed or was skipped. */
  readonly why: string;
}

type Verdict = 'pass' | 'FAIL' | 'MISSING' | 'SKIPPED' | 'not testable' | 'client';

const versions: readonly Version[] = [
  { name: '3.1.1', prefix: 'v3.1.1-', statements: statements3 },
  { name: '5.0', prefix: 'v5-', statements: statements5 },
];
const sources = join(import.meta.dirname, '../../conformance');
const fileTimeoutMs = 120_000;

function testFiles({ prefix }: Version): string[] {
  return readdirSync(import.meta.dirname)
    .filter((name) => name.startsWith(prefix) && name.endsWith('.test.js'))
    .filter((name) => existsSync(join(sources, name.replace(/\.js$/, '.ts'))))
    .map((name) => join(import.meta.dirname, name));
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** All tests of a version, those within a `describe` too. */
async function runTests(version: Version): Promise<Result[]> {
  const results: Result[] = [];
  const stream = run({
    files: testFiles(version),
    concurrency: availableParallelism(),
    timeout: fileTimeoutMs,
  });
  for await (const { type, data } of stream) {
    if (type === 'test:pass') {
      if (data.details.type === 'suite') continue;
      const skipped = data.skip !== undefined;
      results.push({
        name: data.name,
        verdict: skipped ? 'skipped' : 'pass',
        why: text(data.skip),
      });
    }
    if (type === 'test:fail') {
      const { error } = data.details;
      // A suite fails with its tests; by itself only where its hooks do.
      if ('failureType' in error && error.failureType === 'subtestsFailed') continue;
      const cause = error.cause instanceof Error ? error.cause.message : text(error.cause);
      results.push({ name: data.name, verdict: 'fail', why: cause || error.message });
    }
  }
  return results;
}

function idsOf(name: string): string[] {
  return [...name.matchAll(/\[(MQTT-[\d.]+-\d+)\]/g)].map((match) => match[1] ?? '');
}

function verdictOf(statement: Statement, results: readonly Result[]): Verdict {
  const own = results.filter(({ name }) => idsOf(name).includes(statement.id));
  if (own.some(({ verdict }) => verdict === 'fail')) return 'FAIL';
  if (own.some(({ verdict }) => verdict === 'pass')) return 'pass';
  if (own.length > 0) return 'SKIPPED';
  if (statement.untestable !== undefined) return 'not testable';
  return statement.binds === 'client' ? 'client' : 'MISSING';
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** False when something is not as it should be. */
async function report(version: Version): Promise<boolean> {
  const start = performance.now();
  const results = await runTests(version);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const counts = new Map<Verdict, number>();
  print(`\nMQTT ${version.name}\n`);
  for (const statement of version.statements) {
    const verdict = verdictOf(statement, results);
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    print(`${statement.id.padEnd(17)} ${verdict.padEnd(13)} ${statement.summary}`);
    if (verdict === 'not testable') print(`${' '.repeat(32)}(${statement.untestable})`);
  }
  const failed = results.filter(({ verdict }) => verdict === 'fail');
  const skipped = results.filter(({ verdict }) => verdict === 'skipped');
  for (const { name, verdict, why } of [...failed, ...skipped]) {
    print(`\n${verdict}: ${name}\n  ${why}`);
  }
  const known = new Set(version.statements.map(({ id }) => id));
  const unknown = results.flatMap(({ name }) => idsOf(name)).filter((id) => !known.has(id));
  for (const id of new Set(unknown)) print(`\n${id} is in the name of a test and is no statement`);
  const sums = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
  print(`\nMQTT ${version.name}: ${version.statements.length} statements: ${sums}`);
  print(`${results.length} tests, ${failed.length} failed, ${seconds} s`);
  const bad = ['FAIL', 'MISSING', 'SKIPPED'] as const;
  return failed.length + unknown.length === 0 && !bad.some((verdict) => counts.has(verdict));
}

const wanted = process.argv[2];
const chosen = versions.filter(({ name }) => wanted === undefined || name === wanted);
let good = chosen.length > 0;
if (!good) print(`no such version: ${wanted}; there are ${versions.map((v) => v.name).join(', ')}`);
for (const version of chosen) good = (await report(version)) && good;
process.exitCode = good ? 0 : 1;
