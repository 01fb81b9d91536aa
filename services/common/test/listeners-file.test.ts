import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SettingsError } from '../src/settings/parse.ts';
import { readSettings } from '../src/settings/read.ts';
import type { Settings } from '../src/settings/row.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-listeners-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'file');
writeFileSync(file, '');
const wrong = join(folder, 'wrong.json');

function read(...args: string[]): Settings {
  return readSettings({ args, environment: {} });
}

void test('keys that are left out have the values of the settings; paths are relative', () => {
  const path = join(folder, 'listeners.json');
  const one = { name: 'one', kind: 'wss', port: 0, tlsKey: 'file', authentication: ['token'] };
  writeFileSync(path, JSON.stringify([one]));
  const settings = read('--listeners', path, '--tls-cert', file, '--ws-path', '/x');
  assert.deepEqual([settings.mqttPort, settings.wsPort], [null, null]);
  const [listener] = settings.listeners;
  assert.deepEqual(
    [listener?.tlsCert, listener?.tlsKey, listener?.wsPath, listener?.authentication],
    [file, file, '/x', ['token']],
  );
  assert.equal(read('--listeners', path, '--tls-cert', file, '--mqtt-port', '7').mqttPort, 7);
});

void test('a listener that all can reach needs authentication', () => {
  const path = join(folder, 'open.json');
  const one = { name: 'one', kind: 'mqtt', port: 0, bind: '0.0.0.0' };
  writeFileSync(path, JSON.stringify([one]));
  assert.throws(() => read('--listeners', path), SettingsError);
  writeFileSync(path, JSON.stringify([{ ...one, authentication: ['anonymous'] }]));
  assert.equal(read('--listeners', path).listeners.length, 1);
});

void test('what is wrong in the file is told with its place', () => {
  const one = { name: 'one', kind: 'mqtt', port: 0 };
  const cases: readonly (readonly [string, RegExp])[] = [
    ['[', /LISTENERS \S+wrong\.json: .*JSON/],
    ['{}', /must be a list/],
    [JSON.stringify([one, one]), /\[1\]\.name: one is the name of another one/],
    [JSON.stringify([{ ...one, kind: 'udp' }]), /\[0\]\.kind: must be one of mqtt, mqtts, ws, wss/],
    [JSON.stringify([{ ...one, port: 70_000 }]), /\[0\]\.port: must be a port/],
    [JSON.stringify([{ ...one, prot: 1 }]), /\[0\]\.prot: is none of /],
    [JSON.stringify([{ ...one, kind: 'mqtts' }]), /\[0\]\.tlsCert: mqtts needs/],
    [JSON.stringify([{ ...one, authentication: ['x'] }]), /\[0\]\.authentication: must be of /],
    [JSON.stringify([{ ...one, mount: 'a/#/' }]), /\[0\]\.mount: it is no topic name/],
    [JSON.stringify([{ ...one, tlsCert: 'none' }]), /\[0\]\.tlsCert: must be a file/],
    [
      JSON.stringify([{ ...one, kind: 'wss', tlsCert: file, tlsKey: file, certificates: [{}] }]),
      /\[0\]\.certificates\[0\]\.names: must be a list/,
    ],
  ];
  for (const [text, expected] of cases) {
    writeFileSync(wrong, text);
    assert.throws(() => read('--listeners', wrong), expected);
  }
});
