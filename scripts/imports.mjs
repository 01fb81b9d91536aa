// The table of who may import what, in one place. Value and type imports count alike. An area is
// the first row whose pattern its path begins with; a file imports within its own area freely and
// otherwise only from the areas that its row names. Adapters are named by the composition roots
// alone.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');

/** A folder of each has the port's files, and a folder below it for each adapter. */
const portFolders = [
  ...['queue-store', 'session-store', 'retained-store', 'delayed-store', 'group-store', 'registry'],
  ...['retry-queue', 'ban-store'],
];
const authAdapters = ['anonymous', 'chain', 'hmac-sha1', 'password-file', 'scram'];

const everything = ['*'];
const csInner = ['common', 'proto', 'cs/top'];

/** Area, what its paths begin with, and the other areas that it may import from. */
const areas = [
  { name: 'common', at: 'services/common/src/', may: [] },
  // The format on a stream is known only to its two ends.
  ...['wire/', 'calls', 'dispatch.ts', 'load.ts'].map((at) => ({
    name: 'proto/stream',
    at: `proto/src/${at}`,
    may: ['common', 'proto'],
  })),
  { name: 'proto', at: 'proto/src/', may: ['common'] },

  // What cs and ds both know of Redis: addresses, a client, the names of the registry.
  { name: 'redis', at: 'services/redis/src/', may: ['common'] },

  { name: 'cs/root', at: 'services/cs/src/service.ts', may: everything },
  { name: 'cs/codec', at: 'services/cs/src/codec/', may: ['common', 'cs/packet'] },
  { name: 'cs/packet', at: 'services/cs/src/packet/', may: ['common', 'proto'] },
  { name: 'cs/queue', at: 'services/cs/src/queue/', may: [...csInner] },
  {
    name: 'cs/session',
    at: 'services/cs/src/session/',
    may: [...csInner, 'cs/packet', 'cs/queue'],
  },
  { name: 'cs/link', at: 'services/cs/src/link/', may: [...csInner, 'proto/stream', 'redis'] },
  { name: 'cs/transport', at: 'services/cs/src/transport/', may: ['common', 'cs/top'] },
  {
    name: 'cs/connection',
    at: 'services/cs/src/connection/',
    may: [...csInner, 'cs/codec', 'cs/packet', 'cs/queue', 'cs/session', 'cs/transport'],
  },
  {
    name: 'cs/top',
    at: 'services/cs/src/',
    may: [
      'common',
      'proto',
      'cs/connection',
      'cs/packet',
      'cs/queue',
      'cs/session',
      'cs/transport',
    ],
  },

  ...[
    'service',
    'embedded-stores',
    'cluster-service',
    'cluster-stores',
    'composition',
    'cluster/checks',
    'cluster/broker-list',
    'cluster/left-alone',
    'cluster/topic-homes',
    'auth/open-auth',
    'meta/open-meta',
  ].map((file) => ({
    name: 'ds/root',
    at: `services/ds/src/${file}.ts`,
    may: everything,
  })),
  { name: 'ds/journal', at: 'services/ds/src/journal/', may: ['common'] },
  { name: 'ds/auth', at: 'services/ds/src/auth/', may: ['common', 'proto', 'ds/hooks', 'ds/port'] },
  { name: 'ds/hooks', at: 'services/ds/src/hooks/', may: ['common', 'ds/auth'] },
  { name: 'ds/meta', at: 'services/ds/src/meta/', may: ['common', 'ds/hooks', 'ds/port'] },
  { name: 'ds/redis', at: 'services/ds/src/redis/', may: ['common', 'redis'] },
  { name: 'ds/rpc', at: 'services/ds/src/rpc/', may: ['common', 'proto', 'proto/stream'] },
  { name: 'ds/remoting', at: 'services/ds/src/rocketmq/remoting/', may: ['common'] },
  // Names, mapping and stored messages, and what a RocketMQ is checked for.
  { name: 'ds/rocketmq', at: 'services/ds/src/rocketmq/', may: ['common', 'ds/remoting'] },
  ...portFolders.flatMap((port) => {
    const folder = `services/ds/src/${port}/`;
    return [
      ...['embedded', 'redis', 'rocketmq'].map((adapter) => ({
        name: `ds/${port}/${adapter}`,
        at: `${folder}${adapter}/`,
        may: [
          ...['common', 'proto', 'ds/port'],
          ...['ds/journal', 'ds/redis', 'ds/remoting', 'ds/rocketmq'],
        ],
      })),
      { name: 'ds/port', at: folder, may: ['common', 'proto'] },
    ];
  }),
  {
    name: 'ds/java-nodes',
    at: 'services/ds/src/java-nodes/',
    may: ['common', 'ds/remoting', 'ds/rocketmq'],
  },
  { name: 'ds/routing', at: 'services/ds/src/routing/', may: ['common', 'proto', 'ds/port'] },
  {
    name: 'ds/sessions',
    at: 'services/ds/src/sessions/',
    may: ['common', 'proto', 'ds/auth', 'ds/port', 'ds/routing'],
  },
  {
    name: 'ds/use-cases',
    at: 'services/ds/src/use-cases/',
    may: [
      ...['common', 'proto', 'ds/auth', 'ds/hooks', 'ds/port', 'ds/routing', 'ds/sessions'],
      'ds/top',
    ],
  },
  // Differences between the only ds and one of several.
  ...['single', 'cluster'].map((folder) => ({
    name: `ds/${folder}`,
    at: `services/ds/src/${folder}/`,
    may: [
      ...['common', 'proto', 'ds/port', 'ds/routing', 'ds/sessions', 'ds/use-cases', 'ds/top'],
      ...(folder === 'cluster' ? ['ds/link'] : []),
    ],
  })),
  {
    name: 'ds/link',
    at: 'services/ds/src/ds-link.ts',
    may: [
      ...['common', 'proto', 'ds/auth', 'ds/port', 'ds/routing', 'ds/sessions', 'ds/use-cases'],
      ...['ds/single', 'ds/top'],
    ],
  },
  {
    name: 'ds/top',
    at: 'services/ds/src/',
    may: ['common', 'proto', 'ds/auth', 'ds/hooks', 'ds/journal', 'ds/port', 'ds/sessions'],
  },

  { name: 'ops', at: 'services/ops/src/', may: ['common'] },
  { name: 'standalone/root', at: 'services/standalone/src/service.ts', may: everything },
  { name: 'standalone/root', at: 'services/standalone/src/cs-process.ts', may: everything },
  { name: 'standalone/root', at: 'services/standalone/src/ds-process.ts', may: everything },
  {
    name: 'standalone',
    at: 'services/standalone/src/',
    may: [
      ...['common', 'ops', 'cs/root', 'cs/top', 'ds/root', 'ds/top', 'ds/use-cases'],
      ...['standalone/root', 'ds/passwd'],
    ],
  },
];

/** Ports that share a folder with another. */
const furtherPorts = [
  'queue-store/intents',
  'group-store/cluster-group-store',
  'group-store/absent-members',
  ...['nodes', 'route-log', 'ownership', 'inbox', 'records'].map((name) => `registry/${name}`),
];

const isPort = (path) =>
  furtherPorts.some((port) => path === `services/ds/src/${port}.ts`) ||
  portFolders.some((port) => path === `services/ds/src/${port}/${port}.ts`) ||
  path === 'services/cs/src/link/directory.ts' ||
  /^services\/ds\/src\/auth\/(auth-provider|enhanced-auth)\.ts$/.test(path);

const adapterFolder = new RegExp(`^services/ds/src/(?:${portFolders.join('|')})/[^/]+/`);

/**
 * The adapter to which a file belongs, for no other file may import it but the adapter's own and
 * the composition roots; undefined: none.
 */
function adapterOf(path) {
  const folder = adapterFolder.exec(path)?.[0];
  if (folder !== undefined) return folder;
  const isFile =
    /^services\/cs\/src\/link\/(fixed|redis)-directory\.ts$/.test(path) ||
    authAdapters.some((name) => path === `services/ds/src/auth/${name}.ts`);
  return isFile ? path : undefined;
}

/** Imports of a port: the vocabulary, the link's frames, and its own records. */
const portVocabulary =
  /^(services\/common\/src\/|proto\/src\/(?:assignment|link|session-state|undelivered)\.ts$)/;

/** Composition roots. */
const isRoot = (path) => areas.some(({ at, may }) => at === path && may === everything);

function* sourcesIn(folder) {
  if (!existsSync(join(root, folder))) return;
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* sourcesIn(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

/** Imports, re-exports and `import()`, without those in comments. */
function importsOf(path) {
  const text = readFileSync(join(root, path), 'utf8').replace(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^'";]*?from\s+'([^']+)'|(?:^|\n)\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3]);
}

/** Path of an import of ours; undefined for packages of others. */
function resolve(from, specifier) {
  if (specifier.startsWith('.')) {
    return relative(root, join(root, dirname(from), specifier)).replaceAll('\\', '/');
  }
  const match = /^@lmqtt\/([^/]+)\/(.+)$/.exec(specifier);
  if (match === null) return undefined;
  const [, name, file] = match;
  return name === 'proto' ? `proto/src/${file}.ts` : `services/${name}/src/${file}.ts`;
}

/** Adapters that are a file import one another within their folder. */
const sharesFolder = (adapter, from) =>
  adapter.endsWith('.ts') && dirname(adapter) === dirname(from);

const areaOf = (path) => areas.find((area) => path.startsWith(area.at));

function problemOf(from, to) {
  const source = areaOf(from);
  const target = areaOf(to);
  if (source === undefined || target === undefined) return 'is in no area of the table';
  if (isRoot(from)) return null;
  const sameFolder = dirname(from) === dirname(to);
  if (isPort(from)) {
    return portVocabulary.test(to) || (sameFolder && adapterOf(to) === undefined)
      ? null
      : 'a port imports only the vocabulary';
  }
  const adapter = adapterOf(to);
  if (adapter !== undefined && adapter !== adapterOf(from) && !sharesFolder(adapter, from))
    return 'only the composition roots import adapters';
  if (source.name === target.name || source.may.includes(target.name)) return null;
  if (source.may.includes('ds/passwd') && to === 'services/ds/src/auth/passwd.ts') return null;
  return `${source.name} may not import ${target.name}`;
}

/** Files that import themselves over others; one line for each file of each ring found. */
function ringsOf(graph) {
  const rings = [];
  const state = new Map();
  const path = [];
  const visit = (file) => {
    state.set(file, 'open');
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      if (state.get(next) === 'open') rings.push([...path.slice(path.indexOf(next)), next]);
      else if (!state.has(next)) visit(next);
    }
    path.pop();
    state.set(file, 'done');
  };
  for (const file of graph.keys()) if (!state.has(file)) visit(file);
  return rings;
}

const problems = [];
const graph = new Map();
const services = readdirSync(join(root, 'services')).map((name) => `services/${name}/src`);
for (const folder of ['proto/src', ...services]) {
  for (const from of sourcesIn(folder)) {
    const targets = importsOf(from)
      .map((specifier) => resolve(from, specifier))
      .filter((to) => to !== undefined);
    graph.set(from, targets);
    for (const to of targets) {
      const problem = problemOf(from, to);
      if (problem !== null) problems.push(`${from}: imports ${to}: ${problem}`);
    }
  }
}
for (const ring of ringsOf(graph)) problems.push(`cycle: ${ring.join(' -> ')}`);

for (const problem of problems) console.error(problem);
console.error(`${graph.size} files, ${problems.length} forbidden imports and cycles`);
if (graph.size === 0 || problems.length > 0) process.exitCode = 1;
