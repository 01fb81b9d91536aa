// The guard of imports is seen to refuse: each kind of forbidden import is planted in a copy of the
// sources.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

const root = join(import.meta.dirname, '../../..');
const services = ['common', 'cs', 'ds', 'ops', 'redis', 'standalone'];

/** The file that gets the import, what it imports, and the words of the refusal. */
const forbidden = [
  ['a cs that imports ds', 'cs/src/node.ts', '@lmqtt/ds/events', /may not import ds\/top/],
  ['a ds that imports cs', 'ds/src/events.ts', '@lmqtt/cs/node', /may not import cs\/top/],
  [
    'a session that imports the codec',
    'cs/src/session/session.ts',
    '../codec/cold.ts',
    /cs\/codec/,
  ],
  [
    'a session that imports the socket',
    'cs/src/session/session.ts',
    '../transport/transport.ts',
    /cs\/session may not import cs\/transport/,
  ],
  [
    'a codec that imports the connection',
    'cs/src/codec/utf8.ts',
    '../connection/client.ts',
    /cs\/codec may not import cs\/connection/,
  ],
  [
    'a session that knows the format on the stream',
    'cs/src/session/session.ts',
    '@lmqtt/proto/wire/frame',
    /cs\/session may not import proto\/stream/,
  ],
  [
    'sessions of ds that import a use case',
    'ds/src/sessions/live-session.ts',
    '../use-cases/connect.ts',
    /ds\/sessions may not import ds\/use-cases/,
  ],
  [
    'a use case that imports what differs with several ds',
    'ds/src/use-cases/publish.ts',
    '../cluster/work.ts',
    /ds\/use-cases may not import ds\/cluster/,
  ],
  [
    'a remoting client that knows stored messages',
    'ds/src/rocketmq/remoting/connection.ts',
    '../message/judge.ts',
    /ds\/remoting may not import ds\/rocketmq/,
  ],
  ['an ops that imports ds', 'ops/src/events.ts', '@lmqtt/ds/events', /ops may not import ds\/top/],
  [
    'names of Redis that import a service',
    'redis/src/address.ts',
    '@lmqtt/cs/node',
    /redis may not/,
  ],
  [
    'a use case that imports a file of an adapter',
    'ds/src/use-cases/publish.ts',
    '../registry/redis/nodes.ts',
    /only the composition roots import adapters/,
  ],
  [
    'a use case that imports an adapter deep in its folder',
    'ds/src/use-cases/publish.ts',
    '../queue-store/rocketmq/sender.ts',
    /only the composition roots import adapters/,
  ],
  [
    'an adapter that imports another one of its port',
    'ds/src/session-store/redis/due.ts',
    '../embedded/will-book.ts',
    /only the composition roots import adapters/,
  ],
  [
    'a port that imports its adapter',
    'ds/src/queue-store/queue-store.ts',
    './embedded/queue-index.ts',
    /a port imports only the vocabulary/,
  ],
  [
    'routing that imports a use case',
    'ds/src/routing/routes.ts',
    '../use-cases/connect.ts',
    /ds\/routing may not import ds\/use-cases/,
  ],
  [
    'what the only ds has, imported by one of several',
    'ds/src/cluster/work.ts',
    '../single/gathering.ts',
    /ds\/cluster may not import ds\/single/,
  ],
  [
    'the vocabulary that imports a service',
    'common/src/ids.ts',
    '@lmqtt/ops/events',
    /common may not/,
  ],
] as const;

describe('the guard of imports', () => {
  let copy: string;
  before(() => {
    copy = mkdtempSync(join(tmpdir(), 'lmqtt-imports-'));
    cpSync(join(root, 'scripts/imports.mjs'), join(copy, 'scripts/imports.mjs'));
    cpSync(join(root, 'proto/src'), join(copy, 'proto/src'), { recursive: true });
    for (const service of services) {
      const sources = `services/${service}/src`;
      cpSync(join(root, sources), join(copy, sources), { recursive: true });
    }
  });
  after(() => rmSync(copy, { recursive: true, force: true }));

  const check = () =>
    spawnSync(process.execPath, [join(copy, 'scripts/imports.mjs')], { encoding: 'utf8' });

  it('passes the sources as they are', () => {
    const { status, stderr } = check();
    assert.equal(status, 0, stderr);
  });

  for (const [what, file, imported, words] of forbidden) {
    it(`refuses ${what}`, () => {
      const path = join(copy, 'services', file);
      try {
        appendFileSync(path, `\nimport '${imported}';\n`);
        const { status, stderr } = check();
        assert.equal(status, 1);
        assert.match(stderr, words);
      } finally {
        cpSync(join(root, 'services', file), path);
      }
    });
  }

  it('refuses files that import themselves over others', () => {
    const path = join(copy, 'services/common/src/ring.ts');
    try {
      writeFileSync(path, "import './ids.ts';\n");
      appendFileSync(join(copy, 'services/common/src/ids.ts'), "\nimport './ring.ts';\n");
      const { status, stderr } = check();
      assert.equal(status, 1);
      assert.match(stderr, /cycle: /);
    } finally {
      rmSync(path, { force: true });
      cpSync(join(root, 'services/common/src/ids.ts'), join(copy, 'services/common/src/ids.ts'));
    }
  });
});
