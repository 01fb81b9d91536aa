import type { Finding } from '@lmqtt/common/finding';

const heads = ['check', 'state', 'found', 'wanted', 'what to do'] as const;
/** A longer text moves the rest of its own line. */
const widthMax = 52;
const gap = '  ';

/** A line for each, under a head, and one that counts them. */
export function findingTable(findings: readonly Finding[]): string {
  const rows = [
    [...heads],
    ...findings.map(({ name, state, found, wanted, fix }) =>
      [name, state, found, wanted, fix].map((text) => text.replaceAll(/\s+/g, ' ')),
    ),
  ];
  return `${textTable(rows)}\n\n${summary(findings)}\n`;
}

/** Columns as wide as their texts. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) =>
    Math.min(widthMax, Math.max(...rows.map((row) => row[column]!.length))),
  );
  return rows
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]!))
        .join(gap)
        .trimEnd(),
    )
    .join('\n');
}

function summary(findings: readonly Finding[]): string {
  const count = (state: Finding['state']): number =>
    findings.filter((finding) => finding.state === state).length;
  const wrong = count('wrong');
  const verdict = wrong === 0 ? 'Nothing must be changed' : `${wrong} must be changed`;
  const warnings = count('warn');
  return `${verdict}; ${warnings} warning${warnings === 1 ? '' : 's'}, ${count('ok')} ok.`;
}
