import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { helpText, settingsMarkdown } from '../src/settings/describe.ts';
import { SettingsError } from '../src/settings/parse.ts';
import { defaultSettings, readSettings } from '../src/settings/read.ts';
import { camelCase, limits, type ProgramName, rows, type Settings } from '../src/settings/row.ts';

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-settings-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function read(
  args: readonly string[],
  environment: Record<string, string> = {},
  program: ProgramName = 'standalone',
): Settings {
  return readSettings({ args, environment }, program);
}

function refusal(
  args: readonly string[],
  environment: Record<string, string> = {},
  program: ProgramName = 'standalone',
): string {
  try {
    read(args, environment, program);
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    assert.doesNotMatch(error.message, /\n/, 'one line');
    return error.message;
  }
  return assert.fail(`${args.join(' ')} was taken`);
}

test('flags count more than the environment, that more than files, those more than defaults', () => {
  const one = file('one', 'MQTT_PORT=1\nWS_PORT=1\nOPS_PORT=1\nMAX_INFLIGHT=1\n');
  const two = file('two', 'WS_PORT=2\nOPS_PORT=2\nMAX_INFLIGHT=2\n');
  const settings = read(['--config', one, `--config=${two}`, '--max-inflight=4'], {
    LMQTT_OPS_PORT: '3',
    LMQTT_MAX_INFLIGHT: '3',
    PATH: '/bin',
  });
  assert.equal(settings.receiveMaximum, 1024);
  assert.equal(settings.mqttPort, 1);
  assert.equal(settings.wsPort, 2);
  assert.equal(settings.opsPort, 3);
  assert.equal(settings.maxInflight, 4);
});

test('a file has comments, blank lines, spaces, any spelling of a name, and the last line counts', () => {
  const path = file(
    'spelling',
    '# a comment\r\n\r\n  mqtt-port = 5 \r\nkeepAliveSMax=7\nRESPONSE_INFORMATION=a=b #c\nws-port=1\nWS_PORT=2',
  );
  const settings = read(['--config', path]);
  assert.equal(settings.mqttPort, 5);
  assert.equal(settings.keepAliveSMax, 7);
  assert.equal(settings.responseInformation, 'a=b #c');
  assert.equal(settings.wsPort, 2);
});

test('units of sizes and times', () => {
  const settings = read([
    ...['--max-packet-size', '64k', '--ring-bytes=2M', '--retention-bytes', '1gb'],
    ...['--session-expiry-s-max', '2h', '--connect-timeout-ms', '3s', '--commit-linger-us=2ms'],
    ...['--retention-age-s', '90'],
  ]);
  assert.equal(settings.maxPacketSize, 65_536);
  assert.equal(settings.ringBytes, 2_097_152);
  assert.equal(settings.retentionBytes, 1_073_741_824);
  assert.equal(settings.sessionExpirySMax, 7200);
  assert.equal(settings.connectTimeoutMs, 3000);
  assert.equal(settings.commitLingerUs, 2000);
  assert.equal(settings.retentionAgeS, 90);
  assert.match(refusal(['--session-expiry-s-max', '1500ms']), /must be seconds/);
});

test('booleans: with a value, and alone', () => {
  assert.equal(read(['--queue-qos0']).queueQos0, true);
  assert.equal(read(['--queue-qos0', '--ws-port', '1']).wsPort, 1);
  assert.equal(read(['--allow-anonymous', 'false']).allowAnonymous, false);
  assert.equal(read(['--allow-anonymous=true']).allowAnonymous, true);
  const wrong = /^--allow-anonymous must be true or false, not "yes"/;
  assert.match(refusal(['--allow-anonymous', 'yes', '--ws-port', '1']), wrong);
});

test('ports can be switched off, and what is unset is null', () => {
  const settings = read(['--mqtt-port', 'off'], { LMQTT_TLS_CERT: '', LMQTT_MQTT_TLS_PORT: '' });
  assert.equal(settings.mqttPort, null);
  assert.equal(settings.tlsCert, null);
  assert.equal(settings.mqttTlsPort, null);
});

test('wrong values', () => {
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['--mqtt-port', '65536', /^--mqtt-port must be a port .*, not "65536"$/],
    ['--mqtt-port', '1.5', /must be a port/],
    ['--max-inflight', '0', /must be a whole number from 1 to 65535/],
    ['--max-inflight', '-1', /must be a whole number/],
    ['--max-inflight', '', /must be a whole number/],
    ['--max-packet-size', '63', /from 64/],
    ['--max-packet-size', '1t', /must be a size in bytes/],
    ['--allow-anonymous=yes', '', /must be true or false/],
    ['--log-level', 'loud', /must be one of fatal, /],
    ['--bind', 'example.com', /must be an IP address/],
    ['--password-file', join(folder, 'absent'), /must be a file that can be read/],
    ['--ws-path', 'mqtt', /must begin with/],
  ];
  for (const [flag, value, message] of wrong) {
    assert.match(refusal(value === '' && flag.includes('=') ? [flag] : [flag, value]), message);
  }
});

test('names that are not settings, in every source', () => {
  assert.match(refusal(['--mqtt-prot', '1']), /^--mqtt-prot: there is no such setting/);
  assert.match(refusal(['stray']), /^stray: there is no such setting/);
  for (const form of ['--MQTT_PORT', '-mqtt-port', '-mqttPort', 'mqtt-prot=1'])
    assert.match(refusal([form]), /there is no such setting \(did you mean --mqtt-port\?\)/, form);
  assert.match(refusal([], { LMQTT_MQTT_PROT: '1' }), /^LMQTT_MQTT_PROT: there is no such/);
  const path = file('unknown', '\nMQTT_PROT=1\n');
  assert.match(refusal(['--config', path]), /unknown line 2: MQTT_PROT: there is no such setting/);
  assert.equal(read([], { LMQTT_TEST_BROKER: 'x' }).mqttPort, 1883);
});

test('lines and flags without their value', () => {
  assert.match(refusal(['--mqtt-port']), /--mqtt-port: needs a value/);
  assert.match(refusal(['--mqtt-port', '--ws-port']), /--mqtt-port: needs a value/);
  assert.match(refusal(['--config']), /--config: needs a value/);
  assert.match(refusal(['--config', join(folder, 'absent')]), /absent: cannot be read/);
  assert.match(
    refusal(['--config', file('bare', 'MQTT_PORT\n')]),
    /line 1: MQTT_PORT must be a port/,
  );
});

test('a wrong value is told with the place that it came from', () => {
  assert.match(refusal([], { LMQTT_WS_PORT: 'x' }), /^LMQTT_WS_PORT must be a port/);
  const path = file('wrong', '# x\nws-port=x\n');
  assert.match(refusal(['--config', path]), /wrong line 2: ws-port must be a port/);
});

test('a wider bind without authentication needs a word', () => {
  for (const bind of ['0.0.0.0', '::', '10.0.0.1']) {
    const message = refusal(['--bind', bind]);
    assert.match(message, /PASSWORD_FILE/);
    assert.match(message, /ALLOW_ANONYMOUS=true/);
  }
  const users = file('users', '');
  assert.equal(read(['--bind', '0.0.0.0', '--allow-anonymous']).allowAnonymous, true);
  assert.equal(read(['--bind', '::', '--password-file', users]).allowAnonymous, false);
  assert.equal(read(['--bind', '::1']).allowAnonymous, true);
  assert.equal(read(['--password-file', users]).allowAnonymous, false);
  assert.equal(read(['--password-file', users, '--allow-anonymous']).allowAnonymous, true);
});

test('settings that need each other', () => {
  const pem = file('pem', '');
  assert.match(refusal(['--mqtt-tls-port', '8883']), /need TLS_CERT and TLS_KEY/);
  assert.match(refusal(['--wss-port', '8884', '--tls-cert', pem]), /need TLS_CERT and TLS_KEY/);
  assert.match(refusal(['--tls-client-cert', 'required']), /needs TLS_CA/);
  assert.match(refusal(['--hmac-username', 'u']), /together or not at all/);
  assert.equal(read(['--mqtt-tls-port', '0', '--tls-cert', pem, '--tls-key', pem]).mqttTlsPort, 0);
});

const readDs = (...args: string[]): Settings => read(args, {}, 'ds');
const readCs = (...args: string[]): Settings => read(args, {}, 'cs');
const dsRefusal = (...args: string[]): string => refusal(args, {}, 'ds');
const csRefusal = (...args: string[]): string => refusal(args, {}, 'cs');

test('each program has a name of its own, a cs one that nobody else has', () => {
  assert.equal(read([]).nodeId, 'standalone');
  assert.equal(readDs().nodeId, 'ds');
  assert.match(readCs().nodeId, /^cs-[\da-f]{8}$/);
  assert.notEqual(readCs().nodeId, readCs().nodeId);
  assert.equal(readCs('--node-id', 'edge-1').nodeId, 'edge-1');
});

test('a ds that can be reached from outside asks for a secret or certificates', () => {
  const pem = file('link', '');
  const open = ['--rpc-bind', '0.0.0.0', '--allow-anonymous'];
  assert.match(dsRefusal(...open), /RPC_BIND 0\.0\.0\.0 .*CLUSTER_SECRET.*RPC_TLS_CA/);
  const own = ['--rpc-tls-cert', pem, '--rpc-tls-key', pem];
  assert.match(dsRefusal(...open, ...own), /CLUSTER_SECRET/, 'anybody could come in by TLS');
  assert.equal(readDs(...open, '--cluster-secret', 's').rpcBind, '0.0.0.0');
  assert.equal(readDs(...open, ...own, '--rpc-tls-ca', pem).rpcTlsCa, pem);
  assert.equal(readDs().clusterSecret, null);
});

test('certificates of the link need each other', () => {
  const pem = file('pair', '');
  for (const name of ['--rpc-tls-cert', '--rpc-tls-key']) {
    assert.match(dsRefusal(name, pem), /RPC_TLS_CERT and RPC_TLS_KEY are given together/);
    assert.match(csRefusal(name, pem), /together/);
  }
  assert.match(dsRefusal('--rpc-tls-ca', pem), /needs RPC_TLS_CERT and RPC_TLS_KEY/);
  const own = ['--rpc-tls-cert', pem, '--rpc-tls-key', pem];
  assert.match(csRefusal(...own), /needs RPC_TLS_CA/);
  assert.equal(readCs('--rpc-tls-ca', pem).rpcTlsCa, pem, 'only ds shows a certificate');
});

test('a ds without a port has nobody to talk to', () => {
  assert.match(dsRefusal('--rpc-port', 'off'), /RPC_PORT cannot be off/);
});

test('who is let in without a name is for ds to say, and closed beyond this machine', () => {
  const users = file('cluster-users', '');
  assert.equal(readDs().allowAnonymous, 'loopback');
  assert.equal(readDs('--password-file', users).allowAnonymous, false);
  assert.equal(readDs('--allow-anonymous').allowAnonymous, true);
  const outside = ['--rpc-bind', '10.0.0.1', '--cluster-secret', 's'];
  assert.match(dsRefusal(...outside), /RPC_BIND 10\.0\.0\.1 .*ALLOW_ANONYMOUS=true/);
  assert.equal(readDs(...outside, '--password-file', users).allowAnonymous, false);
  // Nothing is decided where clients come in.
  assert.equal(readCs('--bind', '0.0.0.0').bind, '0.0.0.0');
});

test('a program is not told of what only another one reads', () => {
  assert.equal(readDs('--mqtt-tls-port', '8883').rpcPort, 7010);
  assert.equal(readCs('--hmac-username', 'u').mqttPort, 1883);
  assert.equal(read(['--ds', 'nowhere', '--rpc-bind', '0.0.0.0']).mqttPort, 1883);
  assert.doesNotMatch(helpText('cs'), /--data-dir|--rpc-port/);
  assert.match(helpText('cs'), /--ds .*\n/);
  assert.doesNotMatch(helpText('ds'), /--mqtt-port|--ds /);
  assert.match(helpText('ds'), /--data-dir/);
});

test('a secret is in no message and no table', () => {
  const secret = 'do-not-show';
  assert.doesNotMatch(refusal(['--hmac-secret-key', secret]), /do-not-show/);
  assert.doesNotMatch(dsRefusal('--rpc-tls-ca', folder, '--cluster-secret', secret), /do-not-show/);
});

test('a secret is read from a file that its setting with _FILE names', () => {
  const one = file('secret-one', 'first\n');
  const two = file('secret-two', 'second');
  assert.equal(read([], { LMQTT_OPS_TOKEN_FILE: one }).opsToken, 'first');
  assert.equal(read(['--config', file('names-it', `OPS_TOKEN_FILE=${two}\n`)]).opsToken, 'second');
  const both = read(['--ops-token-file', one], { LMQTT_OPS_TOKEN: 'third' });
  assert.equal(both.opsToken, 'first');
  assert.deepEqual(both.notes, []);
  assert.match(
    refusal([], { LMQTT_OPS_TOKEN_FILE: one, LMQTT_OPS_TOKEN: 'x' }),
    /^LMQTT_OPS_TOKEN_FILE and LMQTT_OPS_TOKEN: one of the two$/,
  );
  assert.match(refusal(['--ops-token-file', join(folder, 'absent')]), /absent: cannot be read$/);
  assert.match(refusal(['--tls-key-file', one]), /there is no such setting/);
  assert.ok(helpText().includes('--ops-token, --ops-token-file FILE'));
});

test('a secret that is a flag is told with what keeps it from others', () => {
  const [note, ...more] = read(['--ops-token', 'x']).notes;
  assert.match(String(note), /^--ops-token: .*LMQTT_OPS_TOKEN or --ops-token-file/);
  assert.deepEqual(more, []);
  const cluster = ['--namesrv-addr', 'localhost:9876', '--redis-url'];
  assert.equal(readDs(...cluster, 'redis://localhost').notes.length, 0);
  assert.equal(readDs(...cluster, 'redis://:secret@localhost').notes.length, 1);
});

test('what has no effect is told', () => {
  const notes = (program: ProgramName, args: string[], environment = {}): readonly string[] =>
    readSettings({ args, environment }, program).notes;
  const servers = { NAMESRV_ADDR: 'localhost:9876', REDIS_URL: 'redis://localhost' };
  assert.deepEqual(notes('standalone', [], servers), []);
  assert.match(
    String(notes('standalone', ['--data-dir', 'x'], servers)),
    /^--data-dir has no effect/,
  );
  assert.match(String(notes('standalone', ['--default-topic', 'x'])), /without NAMESRV_ADDR/);
  assert.match(
    String(notes('standalone', [], { LMQTT_DEFAULT_TOPIC: 'x' })),
    /^LMQTT_DEFAULT_TOPIC has no effect without NAMESRV_ADDR and REDIS_URL$/,
  );
  assert.match(String(notes('standalone', ['--lease-ms', '500'])), /one process/);
  assert.deepEqual(notes('standalone', ['--lease-ms', '500'], servers), []);
  assert.match(String(notes('cs', ['--acl-file', file('acl', '')])), /cs does not read it$/);
  assert.match(String(notes('ds', ['--mqtt-port', '1'])), /ds does not read it$/);
  // An image says what any program in it may need, and a file may be of all.
  assert.deepEqual(notes('standalone', [], { LMQTT_RPC_BIND: '0.0.0.0', LMQTT_DATA_DIR: 'x' }), []);
  assert.deepEqual(notes('cs', ['--config', file('of-ds', 'MAX_SESSIONS=5\n')]), []);
});

test('name servers and Redis go together in one process, too', () => {
  assert.match(refusal([], { NAMESRV_ADDR: 'localhost:9876' }), /^NAMESRV_ADDR .*REDIS_URL is not/);
  assert.match(refusal([], { REDIS_URL: 'redis://localhost' }), /^REDIS_URL .*unset REDIS_URL/);
  const both = read(['--namesrv-addr', 'a:9876', '--redis-url', 'redis://b']);
  assert.match(both.nodeId, /^standalone-[0-9a-f]{8}$/);
  assert.equal(both.allowAnonymous, 'loopback');
});

test('web pages: all, those of this machine where nobody needs a name, those that are listed', () => {
  assert.equal(read([]).webPages, 'local');
  assert.equal(read(['--bind', '0.0.0.0', '--allow-anonymous']).webPages, 'any');
  assert.equal(read(['--hmac-username', 'u', '--hmac-secret-key', 's']).webPages, 'any');
  assert.equal(readCs().webPages, 'local');
  assert.equal(readCs('--bind', '0.0.0.0').webPages, 'any');
  assert.equal(read(['--ws-origins', '*']).webPages, 'any');
  assert.deepEqual(read(['--ws-origins', 'https://a.example, http://b:81']).webPages, [
    'https://a.example',
    'http://b:81',
  ]);
  for (const wrong of ['a.example', 'https://a.example/', 'https://a.example/x', 'null'])
    assert.match(refusal(['--ws-origins', wrong]), /^WS_ORIGINS: .* is no origin/);
});

test('every row: its default passes its own check, and it is described', () => {
  const settings = defaultSettings();
  for (const row of rows) {
    assert.match(row.name, /^[A-Z0-9]+(_[A-Z0-9]+)*$/);
    assert.ok(camelCase(row.name) in settings, row.name);
    assert.ok(row.about.length > 10 && !row.about.endsWith('.'), row.name);
    assert.ok(row.roles.length > 0);
    assert.ok(helpText().includes(`--${row.name.toLowerCase().replaceAll('_', '-')}`));
    assert.ok(settingsMarkdown().includes(`\`${row.name}\``));
  }
  assert.ok(
    helpText()
      .split('\n')
      .every((line) => line.length <= 110),
  );
  for (const limit of limits) {
    assert.match(limit.metric, /^lmqtt_limit_total\{limit="[a-z_0-9]+"\}$/);
    assert.ok(limit.refusal.length > 10);
  }
});

test('files of a Java installation are taken as they are', () => {
  const service = file(
    'service.conf',
    [
      'username=mq',
      'secretKey=shh',
      'NAMESRV_ADDR=127.0.0.1:9876',
      'eventNotifyRetryTopic=events',
      'clientRetryTopic=retry',
      'metaAddr=127.0.0.1:25000',
    ].join('\n'),
  );
  const connect = file(
    'connect.conf',
    'mqttPort=2883\nmqttTlsPort=8883\nmaxConn=10\nlowWater=16384',
  );
  const args = ['--config', service, '--config', connect];
  const settings = read(args, { REDIS_URL: 'redis://127.0.0.1:6379' }, 'ds');
  assert.equal(settings.hmacUsername, 'mq');
  assert.equal(settings.hmacSecretKey, 'shh');
  assert.equal(settings.namesrvAddr, '127.0.0.1:9876');
  assert.equal(settings.eventNotifyRetryTopic, 'events');
  assert.equal(settings.clientRetryTopic, 'retry');
  assert.equal(settings.mqttPort, 2883);
  assert.equal(settings.mqttTlsPort, null);
  assert.equal(settings.maxConnections, 10);
  assert.deepEqual(
    settings.notes.map((note) => /line \d+: (\w+) is/.exec(note)?.[1]),
    ['metaAddr', 'lowWater', 'mqttTlsPort'],
  );
});

/** Keys that the Java nodes read, main and develop branches, with a value each. */
const javaKeys = {
  'service.conf': [
    ...['username=mq', 'secretKey=shh', 'NAMESRV_ADDR=127.0.0.1:9876', 'clientP2pTopic=p2p'],
    ...['eventNotifyRetryTopic=events', 'clientRetryTopic=retry', 'metaAddr=127.0.0.1:25000'],
    ...['authThreadNum=32', 'csRpcPort=7001', 'eventNotifyRetryMaxTime=3', 'threadNum=20'],
    ...['retainMsgExpire=259200000', 'pullBatch=64'],
  ],
  'connect.conf': [
    ...['nettySelectorThreadNum=1', 'nettyWorkerThreadNum=8', 'mqttPort=1884', 'mqttTlsPort=8883'],
    ...['mqttWsPort=8889', 'enableTlsSever=false', 'needClientAuth=false', 'order=true'],
    ...['maxPacketSizeInByte=65536', 'highWater=262144', 'lowWater=16384', 'maxConn=100000'],
    ...['maxRetryTime=15', 'sizeOfNotRollWhenAckSlow=32', 'queueCacheSize=128', 'pullBatchSize=32'],
    ...['rpcListenPort=7001', 'retryIntervalSeconds=3', 'exporterPort=9091', 'exportJvmInfo=true'],
    ...['enablePrometheus=true', 'quicPort=14567', 'enableQuic=false', 'sslCaCertFile=/no/ca.pem'],
    ...['sslServerCertFile=/no/cert.pem', 'sslServerKeyFile=/no/key.pem', 'sslServerKeyPassword=x'],
    ...['maxTransferCountOnMessageInDisk=8', 'enableSharedSubscription=false'],
    ...['enableRetain=false', 'enableSubscriptionIdentifier=false', 'topicAliasMaximum=10'],
    'serverReceiveMaximum=32767',
  ],
  'meta.conf': [
    ...['allNodeAddress=a:1', 'metaPort=25000', 'selfAddress=a:1', 'raftNodePort=8081'],
    ...['membersAddress=a:1', 'maxRetainedTopicNum=10000', 'electionTimeoutMs=1000'],
    ...['snapshotIntervalSecs=60000', 'raftServiceName=mqtt', 'scanNum=10000'],
  ],
};

test('every key of the files of the Java nodes is known: it is a setting, or one line says why not', () => {
  const args = Object.entries(javaKeys).flatMap(([name, lines]) => [
    '--config',
    file(name, lines.join('\n')),
  ]);
  for (const program of ['ds', 'cs', 'standalone'] as const) {
    const settings = read(args, { REDIS_URL: 'redis://127.0.0.1:6379' }, program);
    const unused = settings.notes.map((note) => /line \d+: (\w+) is not used/.exec(note)?.[1]);
    const used = Object.values(javaKeys)
      .flat()
      .map((line) => line.split('=')[0])
      .filter((key) => !unused.includes(key));
    assert.deepEqual(used, [
      ...['username', 'secretKey', 'NAMESRV_ADDR', 'clientP2pTopic', 'eventNotifyRetryTopic'],
      ...['clientRetryTopic', 'csRpcPort', 'mqttPort', 'mqttWsPort', 'maxPacketSizeInByte'],
      ...['highWater', 'maxConn', 'maxRetryTime', 'exporterPort', 'topicAliasMaximum'],
      'serverReceiveMaximum',
    ]);
    assert.equal(new Set(unused).size, unused.length, 'one line for each');
    assert.deepEqual(
      [settings.mqttPort, settings.wsPort, settings.opsPort, settings.topicAliasMaximum],
      [1884, 8889, 9091, 10],
    );
    assert.deepEqual([settings.receiveMaximum, settings.tlsCert], [32_767, null]);
  }
});

test('files of the Java nodes as they are shipped, without values', () => {
  const shipped =
    'username=\nsecretKey=\n\nNAMESRV_ADDR=\neventNotifyRetryTopic=\nclientRetryTopic=\n\nmetaAddr=';
  const settings = read(['--config', file('shipped.conf', `${shipped}\nmaxConn=\nmqttPort=1885`)]);
  assert.equal(settings.hmacUsername, null);
  assert.equal(settings.mqttPort, 1885);
  assert.equal(settings.maxConnections, defaultSettings().maxConnections);
});

test('the whole syntax of the Java files', () => {
  const text =
    '! comment\nNAMESRV_ADDR : 10.0.0.1:9876;\\\n    10.0.0.2:9876\nusername m\\u0071\n' +
    'secretKey=a\\=b\\\\c \nmaxConn : 10 \n';
  const settings = read(
    ['--config', file('syntax.conf', text)],
    { REDIS_URL: 'redis://127.0.0.1:6379' },
    'ds',
  );
  assert.equal(settings.namesrvAddr, '10.0.0.1:9876;10.0.0.2:9876');
  assert.equal(settings.hmacUsername, 'mq');
  assert.equal(settings.hmacSecretKey, 'a=b\\c ');
  assert.equal(settings.maxConnections, 10);
  assert.match(settings.notes.join('\n'), /line 5: secretKey ends with white space/);
  const windows = read(['--config', file('windows.conf', 'dataDir=C:\\data')]);
  assert.match(windows.notes.join('\n'), /line 1: dataDir: a \\ begins an escape here/);
  assert.match(
    refusal(['--config', file('code.conf', 'mqttPort=1\nusername=\\u12')]),
    /code\.conf line 2: \\u needs four/,
  );
  assert.match(refusal(['--config', file('key.conf', '=1')]), /line 1: must be key=value/);
});

test('TLS of the Java nodes: on where enableTlsSever says so and there is a certificate', () => {
  const pem = file('tls.pem', '');
  const own = `sslServerCertFile=${pem}\nsslServerKeyFile=${pem}\nsslServerKeyPassword=pw\n`;
  const on = `enableTlsSever=true\n${own}`;
  const settings = read(['--config', file('on.conf', on)]);
  assert.deepEqual(
    [settings.mqttTlsPort, settings.tlsCert, settings.tlsKey, settings.tlsKeyPassword],
    [8883, pem, pem, 'pw'],
  );
  assert.deepEqual([settings.tlsClientCert, settings.notes], ['none', []]);
  const mutual = `${on}mqttTlsPort=8884\nneedClientAuth=true\nsslCaCertFile=${pem}\n`;
  const both = read(['--config', file('mutual.conf', mutual), '--tls-key', '/dev/null']);
  assert.deepEqual(
    [both.mqttTlsPort, both.tlsCa, both.tlsClientCert, both.tlsKey],
    [8884, pem, 'required', '/dev/null'],
  );
  const alone = file('no-authority.conf', `${on}needClientAuth=true`);
  assert.match(refusal(['--config', alone]), /TLS_CLIENT_CERT required needs TLS_CA/);
  for (const off of [`enableTlsSever=false\n${own}`, 'enableTlsSever=true\nmqttTlsPort=1', own]) {
    const none = read(['--config', file('off.conf', off)]);
    assert.deepEqual([none.mqttTlsPort, none.tlsCert], [null, null]);
    assert.ok(none.notes.length >= 2);
  }
});

test('name servers and Redis are known by their plain names, and go together', () => {
  const both = { NAMESRV_ADDR: 'a:9876', REDIS_URL: 'redis://b' };
  const settings = read([], { ...both, LMQTT_REDIS_URL: 'redis://c' }, 'ds');
  assert.equal(settings.namesrvAddr, 'a:9876');
  assert.equal(settings.redisUrl, 'redis://c');
  assert.match(settings.nodeId, /^ds-[0-9a-f]{8}$/);
  assert.match(refusal([], { NAMESRV_ADDR: 'a:9876' }, 'ds'), /NAMESRV_ADDR .*REDIS_URL is not/);
  assert.match(refusal([], { REDIS_URL: 'redis://b' }, 'ds'), /REDIS_URL .*NAMESRV_ADDR is not/);
  assert.match(refusal(['--node-id', 'a@b']), /NODE_ID/);
});
