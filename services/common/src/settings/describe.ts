// The table for people: `--help` and docs/settings.md.
import { limits, type ProgramName, type Row, rows } from './row.ts';

function rangeOf(row: Row): string {
  if (row.choices !== undefined) return row.choices.join(', ');
  if (row.min !== undefined && row.max !== undefined) return `${row.min} … ${row.max}`;
  if (row.kind === 'port') return '0 … 65535, off';
  if (row.kind === 'boolean') return 'true, false';
  return '';
}

function defaultOf(row: Row): string {
  if (row.default === null) return row.kind === 'port' ? 'off' : '';
  return String(row.default);
}

function wrap(text: string, width: number, indent: string): string {
  let line = '';
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each) => indent + each).join('\n');
}

function isReadBy(program: ProgramName, row: Row): boolean {
  return program === 'standalone' || row.roles.includes(program);
}

function paragraph(row: Row & { readonly name: string }): string {
  const flag = `--${row.name.toLowerCase().replaceAll('_', '-')}`;
  const notes = [defaultOf(row) && `default ${defaultOf(row)}`, rangeOf(row)].filter(Boolean);
  const file = row.kind === 'secret' ? `, ${flag}-file FILE` : '';
  const head = `  ${flag}${file}${notes.length > 0 ? `  [${notes.join('; ')}]` : ''}`;
  const limit = row.limit === undefined ? '' : `. Past it: ${row.limit}`;
  return `${head}\n${wrap(row.about + limit, 90, '      ')}`;
}

/** Kinds of settings in the order of the help, and when each has an effect. */
const groups: readonly (readonly [Row['only'], Readonly<Record<ProgramName, string>>])[] = [
  [undefined, { standalone: '', ds: '', cs: '' }],
  [
    'embedded',
    { standalone: 'Without REDIS_URL:', ds: 'Without REDIS_URL:', cs: 'Without REDIS_URL:' },
  ],
  [
    'servers',
    {
      standalone: 'With NAMESRV_ADDR and REDIS_URL:',
      ds: 'With NAMESRV_ADDR and REDIS_URL:',
      cs: 'With REDIS_URL:',
    },
  ],
  [
    'link',
    {
      standalone: 'With NAMESRV_ADDR and REDIS_URL, of the link between cs and ds:',
      ds: 'Of the link between cs and ds:',
      cs: 'Of the link between cs and ds:',
    },
  ],
];

/** One paragraph for each setting that the program reads, no line longer than 100 columns. */
export function helpText(program: ProgramName = 'standalone'): string {
  const read = rows.filter((row) => isReadBy(program, row));
  return groups
    .flatMap(([only, titles]) => {
      const paragraphs = read.filter((row) => row.only === only).map(paragraph);
      if (paragraphs.length === 0) return [];
      return [...(titles[program] === '' ? [] : [`\n${titles[program]}\n`]), ...paragraphs];
    })
    .join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|');
const code = (text: string): string => (text === '' ? '' : `\`${text}\``);

/** Two Markdown tables: all settings, and what happens at each limit. */
export function settingsMarkdown(): string {
  const lines = [
    '| Setting | Of | Default | Values | Meaning |',
    '| --- | --- | --- | --- | --- |',
  ];
  for (const row of rows) {
    const file = row.kind === 'secret' ? `, ${code(`${row.name}_FILE`)}` : '';
    const cells = [row.roles.join(', '), code(defaultOf(row)), rangeOf(row), row.about].map(cell);
    lines.push(`| ${[code(row.name) + file, ...cells].join(' | ')} |`);
  }
  lines.push('', '| Limit | What a client sees past it |', '| --- | --- |');
  for (const limit of limits) lines.push(`| ${code(limit.name)} | ${cell(limit.refusal)} |`);
  return lines.join('\n');
}
