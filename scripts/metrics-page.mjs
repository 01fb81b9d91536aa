// The page of metrics, from the places in the sources where they are registered. A name that is
// written anywhere else but there ends the run, so that none can be missed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const text = `'((?:[^'\\\\]|\\\\.)*)'`;
const registration = new RegExp(
  `\\b(counter|counterOf|counters|countersOf|countersBy|gauge|gauges|histogram)\\(\\s*${text}|` +
    `\\b(countersOf)\\(limitMetricName`,
  'g',
);
const argument = new RegExp(`^\\s*,\\s*(?:${text}|(\\w+))`);
const kinds = { c: 'counter', g: 'gauge', h: 'histogram' };
const programs = { common: 'all', cs: 'cs', ds: 'ds', ops: 'all', standalone: 'all' };

function sources() {
  return readdirSync(join(root, 'services')).flatMap((service) =>
    readdirSync(join(root, 'services', service, 'src'), { recursive: true })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => ({ service, path: join('services', service, 'src', name) })),
  );
}

/** The text of a constant somewhere in the sources. */
function constant(files, name) {
  const found = new RegExp(`const ${name}\\s*=\\s*${text}`);
  for (const { source } of files) {
    const match = found.exec(source);
    if (match !== null) return match[1];
  }
  throw new Error(`metrics: ${name} is no constant text`);
}

/** The call's arguments behind its name, as long as they are texts or constants. */
function argumentsAt(files, source, start) {
  const values = [];
  for (let rest = source.slice(start); ;) {
    const match = argument.exec(rest);
    if (match === null) return values;
    const after = rest[match[0].length];
    if (match[1] === undefined && (after === '.' || after === '(')) return values;
    if (match[1] === undefined && values.length > 0) return values;
    values.push(match[1] ?? constant(files, match[2]));
    rest = rest.slice(match[0].length);
  }
}

/** A call of `gauges` that a file wraps has the label in the wrapper. */
function wrappedLabel(source) {
  return /\.gauges\(name, help, '(\w+)'/.exec(source)?.[1];
}

function metricsOf(files, { service, path, source }) {
  const found = [];
  for (const match of source.matchAll(registration)) {
    const name = match[2] ?? constant(files, 'limitMetricName');
    if (!name.startsWith('lmqtt_')) continue;
    const [help, label, further] = argumentsAt(files, source, match.index + match[0].length);
    if (help === undefined) throw new Error(`metrics: ${name} in ${path} has no text`);
    const hasLabel = /^(counters|countersOf|countersBy|gauges)$/.test(match[1] ?? match[3]);
    const kind = kinds[(match[1] ?? match[3])[0]];
    const labels = match[1] === 'countersBy' ? `${label}, ${further}` : label;
    const by = hasLabel ? (labels ?? wrappedLabel(source)) : undefined;
    if (hasLabel && by === undefined) throw new Error(`metrics: ${name} has no label`);
    found.push({ name, kind, help, label: by, program: programs[service] });
  }
  const written = new Set(source.match(/(?<=['"`])lmqtt_[a-z_]+(?=['"`])/g) ?? []);
  for (const { name } of found) written.delete(name);
  written.delete(constant(files, 'limitMetricName'));
  if (written.size > 0) throw new Error(`metrics: ${[...written].join(', ')} in ${path}: not read`);
  return found;
}

/** One row for each name: a label that only one shape has is in brackets. */
function merged(metrics) {
  const rows = new Map();
  for (const metric of metrics) {
    const row = rows.get(metric.name);
    if (row === undefined) {
      rows.set(metric.name, { ...metric, labels: new Set([metric.label]) });
      continue;
    }
    row.labels.add(metric.label);
    if (metric.help.length > row.help.length) row.help = metric.help;
    if (metric.program !== row.program) row.program = 'cs, ds';
  }
  return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function labelText(labels) {
  const named = [...labels].filter((label) => label !== undefined);
  if (named.length === 0) return '';
  return named.map((label) => (labels.has(undefined) ? `(${label})` : label)).join(', ');
}

export function metricsMarkdown() {
  const files = sources().map((file) => ({
    ...file,
    source: readFileSync(join(root, file.path), 'utf8'),
  }));
  const rows = merged(files.flatMap((file) => metricsOf(files, file))).map(
    ({ name, kind, labels, program, help }) =>
      `| \`${name}\` | ${kind} | ${labelText(labels)} | ${program} | ${help} |`,
  );
  return [
    '| metric | kind | label | program | what it says |',
    '| - | - | - | - | - |',
    ...rows,
  ].join('\n');
}
