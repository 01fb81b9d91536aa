// The settings of the deployments: names that no setting has would stop our programs at their
// start.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { readSettings } from '@lmqtt/common/settings/read';
import { rows } from '@lmqtt/common/settings/row';
import { version } from '@lmqtt/common/version';

// From test/dist/e2e.
const root = join(import.meta.dirname, '../../..');
const chart = 'deploy/helm/lmqtt';
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const described = [
  'docker-compose.yml',
  'deploy/docker/Dockerfile',
  `${chart}/values.yaml`,
  ...readdirSync(join(root, chart, 'templates')).map((name) => `${chart}/templates/${name}`),
];

function helm(...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('helm', args, {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(status, 0, error?.message ?? `${stdout}${stderr}`);
  return stdout;
}

/** Throws where a ds or a cs would refuse to start with it. */
function accept(pairs: Iterable<RegExpMatchArray>): Record<string, string> {
  const environment = Object.fromEntries([...pairs].map(([, name, value]) => [name, value ?? '']));
  for (const program of ['ds', 'cs'] as const) readSettings({ args: [], environment }, program);
  return environment;
}

const noHelm = spawnSync('helm', ['version']).status !== 0 && 'helm is not installed';

describe('deployment', () => {
  const names = new Set<string>(rows.map((row) => row.name));
  for (const path of described) {
    test(`${path}: each LMQTT_ variable is a setting`, () => {
      const variables = read(path).matchAll(/\bLMQTT_([A-Z][A-Z0-9_]*)/g);
      const unknown = [...variables]
        .map(([, name]) => name ?? '')
        .filter((name) => !names.has(name));
      assert.deepEqual(unknown, []);
    });
  }

  test('ds and cs start with what docker-compose.yml sets', () => {
    const text = read('docker-compose.yml').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
    const environment = accept(text.matchAll(/^ +(LMQTT_\w+): '?([^'\n]*)'?$/gm));
    assert.equal(environment['LMQTT_REDIS_URL'], 'redis://redis:6379');
  });

  test('the chart is of this version', () => {
    const text = read(`${chart}/Chart.yaml`);
    assert.match(text, new RegExp(`^version: ${version}$`, 'm'));
    assert.match(text, new RegExp(`^appVersion: '${version}'$`, 'm'));
  });

  test('the chart is in order, and ds and cs start with what it sets', { skip: noHelm }, () => {
    helm('lint', '--strict', chart);
    const given = ['settings.MAX_CONNECTIONS=2000000', 'secret.settings.OPS_TOKEN=t'];
    const text = helm('template', 'mqtt', chart, '--set', given.join(','));
    const environment = accept(text.matchAll(/^ +(LMQTT_\w+): "(.*)"$/gm));
    assert.equal(environment['LMQTT_MAX_CONNECTIONS'], '2000000');
    assert.equal(environment['LMQTT_OPS_TOKEN'], 't');
  });
});
