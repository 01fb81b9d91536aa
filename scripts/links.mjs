// Checks that the links in the documents lead to files and headings that exist.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const inFolder = (folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true })
        .filter((name) => name.endsWith('.md'))
        .map((name) => join(folder, name))
    : [];
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'deploy', 'examples'].flatMap(inFolder),
];

/** Without blocks and pieces of code, in which brackets are no links. */
function prose(path) {
  return readFileSync(path, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, (code) => (code.includes('](') ? '' : code));
}

/** As the usual renderers make them of a heading. */
function anchors(path) {
  return prose(path)
    .split('\n')
    .filter((line) => /^#+ /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, '')
        .replaceAll('`', '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    );
}

let broken = 0;
for (const page of pages) {
  const from = join(root, page);
  for (const [, target] of prose(from).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [file, anchor] = target.split('#');
    const path = file === '' ? from : join(dirname(from), file);
    const leads = existsSync(path) && (anchor === undefined || anchors(path).includes(anchor));
    if (leads) continue;
    console.error(`${relative(root, from)}: the link ${target} leads nowhere`);
    broken += 1;
  }
}
process.exitCode = broken === 0 ? 0 : 1;
