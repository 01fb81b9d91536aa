// Makes the npm package `lmqtt` of a checkout that is built: the command, and `startBroker` for other
// programs. The workspace packages travel inside it; what they depend on comes from the registry.
//
//   node scripts/pack.mjs FOLDER     writes FOLDER/lmqtt-VERSION.tgz and says its path
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = join(import.meta.dirname, '..');
const target = resolve(process.argv[2] ?? '.');
const folders = ['proto', 'services/common', 'services/cs', 'services/ds', 'services/ops'];
folders.push('services/redis', 'services/standalone');

const read = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const write = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

const { version, description, license, engines, type } = read('package.json');
const inOrder = (entries) =>
  Object.fromEntries(Object.entries(entries).sort(([one], [other]) => (one < other ? -1 : 1)));

const staging = mkdtempSync(join(tmpdir(), 'lmqtt-pack-'));
try {
  const dependencies = {};
  const bundled = [];
  for (const folder of folders) {
    const source = read(join(folder, 'package.json'));
    const inside = join(staging, 'node_modules', source.name);
    mkdirSync(inside, { recursive: true });
    cpSync(join(root, folder, 'dist/src'), join(inside, 'dist/src'), {
      recursive: true,
      filter: (path) => !path.endsWith('.map') && !path.endsWith('.tsbuildinfo'),
    });
    // Scripts of Redis are read from where they stand among the sources.
    cpSync(join(root, folder, 'src'), join(inside, 'src'), {
      recursive: true,
      filter: (path) => statSync(path).isDirectory() || path.endsWith('.lua'),
    });
    if (folder === 'proto') cpSync(join(root, folder, 'link.proto'), join(inside, 'link.proto'));
    const exported = { types: './dist/src/*.d.ts', default: './dist/src/*.js' };
    write(join(inside, 'package.json'), {
      ...{ name: source.name, version, license, type },
      exports: { './*': exported },
    });
    bundled.push(source.name);
    for (const [name, range] of Object.entries(source.dependencies ?? {}))
      if (!String(range).startsWith('workspace:')) dependencies[name] = range;
  }
  for (const name of bundled) dependencies[name] = version;
  mkdirSync(join(staging, 'bin'));
  writeFileSync(
    join(staging, 'bin/lmqtt.mjs'),
    "#!/usr/bin/env node\nawait import('@lmqtt/standalone/main');\n",
    { mode: 0o755 },
  );
  writeFileSync(join(staging, 'index.js'), "export * from '@lmqtt/standalone/embed';\n");
  writeFileSync(join(staging, 'index.d.ts'), "export * from '@lmqtt/standalone/embed';\n");
  for (const file of ['LICENSE', 'CHANGELOG.md']) cpSync(join(root, file), join(staging, file));
  cpSync(join(root, 'docs/package.md'), join(staging, 'README.md'));
  write(join(staging, 'package.json'), {
    ...{ name: 'lmqtt', version, description, license, type, engines },
    keywords: ['mqtt', 'broker', 'rocketmq', 'mqtt5', 'server'],
    bin: { lmqtt: 'bin/lmqtt.mjs' },
    exports: { '.': { types: './index.d.ts', default: './index.js' } },
    files: ['bin', 'index.js', 'index.d.ts', 'CHANGELOG.md'],
    dependencies: inOrder(dependencies),
    bundleDependencies: bundled,
  });
  mkdirSync(target, { recursive: true });
  const options = { cwd: staging, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  const said = execFileSync('npm', ['pack', '--json', '--pack-destination', target], options);
  const [{ filename }] = JSON.parse(said);
  process.stdout.write(`${join(target, filename)}\n`);
} finally {
  rmSync(staging, { recursive: true, force: true });
}
