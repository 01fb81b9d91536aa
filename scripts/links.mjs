// Checks that the links in the documents lead to files and headings that exist, and that the source
// files which the documents about the inside name are there.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const inFolder = (folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true })
        .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
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

/** Short paths of these documents, each with what it stands for. */
const shortPaths = {
  'cs/': 'services/cs/src/',
  'ds/': 'services/ds/src/',
  'common/': 'services/common/src/',
  'rmq/': 'services/ds/src/queue-store/rocketmq/',
  'cluster/': 'services/ds/src/cluster/',
  'groups/': 'services/ds/src/cluster/groups/',
};
const insidePages = ['ARCHITECTURE.md', 'docs/rocketmq.md'].concat(
  ['docs/internals', 'docs/decisions'].flatMap(inFolder),
);
const sourcePath = /`((?:services|proto|test|scripts|cs|ds|common|rmq|cluster|groups)\/[^`\s<]*)`/g;

/** A path with `{a,b}` in it, as all those that it stands for. */
function alternatives(path) {
  const [whole, list] = /\{([^}]*)\}/.exec(path) ?? [];
  if (whole === undefined) return [path];
  return list.split(',').flatMap((one) => alternatives(path.replace(whole, () => one)));
}

function isThere(path) {
  const at = Object.keys(shortPaths).find((short) => path.startsWith(short)) ?? '';
  let folders = [root];
  for (const part of ((shortPaths[at] ?? '') + path.slice(at.length)).split('/')) {
    if (part === '') continue;
    const literal = part.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${literal.join('.*')}$`);
    folders = folders.flatMap((folder) => {
      if (!part.includes('*')) return existsSync(join(folder, part)) ? [join(folder, part)] : [];
      if (!statSync(folder).isDirectory()) return [];
      const names = readdirSync(folder).filter((name) => pattern.test(name));
      return names.map((name) => join(folder, name));
    });
  }
  return folders.length > 0;
}

for (const page of insidePages) {
  for (const [, path] of prose(join(root, page)).matchAll(sourcePath)) {
    for (const one of alternatives(path)) {
      if (isThere(one)) continue;
      console.error(`${page}: there is no ${one}`);
      broken += 1;
    }
  }
}
process.exitCode = broken === 0 ? 0 : 1;
