import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ChannelCredentials, credentials, status } from '@grpc/grpc-js';
import { calls } from '@lmqtt/proto/calls';
import { pause } from './fake-cs.ts';
import { type RpcDs, startRpcDs } from './rpc-ds.ts';
import { RpcPeer } from './rpc-peer.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
if (!hasOpenssl && process.env['CI'] === 'true')
  throw new Error('openssl not found (apt-get install openssl)');

/** Paths of PEM files. */
interface Pair {
  readonly certificate: string;
  readonly key: string;
}

const folder = mkdtempSync(join(tmpdir(), 'lmqtt-rpc-tls-'));
let pairs = 0;

/** For 127.0.0.1 and as a client; without a signer an authority of its own. */
function certificate(signer?: Pair): Pair {
  pairs += 1;
  const stem = join(folder, String(pairs));
  const pair = { certificate: `${stem}.crt`, key: `${stem}.key` };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const request = ['req', ...key, '-subj', `/CN=${pairs}`, '-keyout', pair.key];
  if (signer === undefined) {
    openssl(...request, '-x509', '-out', pair.certificate);
    return pair;
  }
  openssl(...request, '-out', `${stem}.csr`);
  writeFileSync(`${stem}.ext`, 'subjectAltName=IP:127.0.0.1\n');
  const by = ['-CA', signer.certificate, '-CAkey', signer.key, '-set_serial', String(pairs)];
  const files = ['-in', `${stem}.csr`, '-out', pair.certificate, '-extfile', `${stem}.ext`];
  openssl('x509', '-req', '-days', '2', ...by, ...files);
  return pair;
}

function openssl(...args: string[]): void {
  const { status: code, stderr } = spawnSync('openssl', args);
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${String(stderr)}`);
}

function trusting(authority: Pair, as?: Pair): ChannelCredentials {
  const read = (path: string | undefined): Buffer | null =>
    path === undefined ? null : readFileSync(path);
  return credentials.createSsl(
    readFileSync(authority.certificate),
    read(as?.key),
    read(as?.certificate),
  );
}

void describe('the RPC port with TLS', { skip: hasOpenssl ? false : 'no openssl' }, () => {
  let authority: Pair;
  let stranger: Pair;
  let mutual: RpcDs;
  before(async () => {
    authority = certificate();
    stranger = certificate();
    const node = certificate(authority);
    mutual = await startRpcDs({
      'rpc-tls-cert': node.certificate,
      'rpc-tls-key': node.key,
      'rpc-tls-ca': authority.certificate,
    });
  });
  after(async () => {
    await mutual.stop();
    rmSync(folder, { recursive: true });
  });

  const refusalOf = async (given: ChannelCredentials | undefined): Promise<number> => {
    const peer = new RpcPeer({
      port: mutual.port,
      node: 'stranger',
      ...(given === undefined ? {} : { credentials: given }),
    });
    await peer.open();
    assert.ok(peer.ended !== undefined && peer.welcome === undefined);
    peer.cut();
    return peer.ended.code;
  };

  const refusedBy = (): number =>
    mutual.lines.filter((line) => line.includes('"reason":"tls"')).length;

  void test('a client of the same authority comes in', async () => {
    const peer = await RpcPeer.attached({
      port: mutual.port,
      credentials: trusting(authority, certificate(authority)),
    });
    await peer.call(calls.leave, { goesOn: false });
    peer.cut();
  });

  void test('a client without a certificate, or with one of another authority, does not', async () => {
    assert.equal(await refusalOf(trusting(authority)), status.UNAVAILABLE);
    assert.equal(refusedBy(), 1);
    const other = trusting(authority, certificate(stranger));
    assert.equal(await refusalOf(other), status.UNAVAILABLE);
    const metrics = await mutual.metrics();
    assert.match(metrics, /lmqtt_rpc_refused_total\{reason="tls"\} 2/);
    assert.match(metrics, /lmqtt_rpc_attachments 0/);
    assert.match(metrics, /lmqtt_rpc_unacknowledged_frames 0/);
  });

  void test('nor one without TLS, nor garbage; the port is there for the next one', async () => {
    assert.equal(await refusalOf(undefined), status.UNAVAILABLE);
    const socket = connect({ host: '127.0.0.1', port: mutual.port });
    socket.on('error', () => {});
    socket.resume().write(randomBytes(500));
    await once(socket, 'close');
    const peer = await RpcPeer.attached({
      port: mutual.port,
      credentials: trusting(authority, certificate(authority)),
    });
    peer.cut();
  });

  void test('a certificate with the key of another is refused at the start', async () => {
    const [one, other] = [certificate(authority), certificate(authority)];
    const rsa = { certificate: join(folder, 'rsa.crt'), key: join(folder, 'rsa.key') };
    const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', rsa.key, '-out', rsa.certificate];
    openssl('req', '-x509', '-subj', '/CN=rsa', ...made);
    for (const { key } of [other, rsa]) {
      await assert.rejects(
        startRpcDs({ 'rpc-tls-cert': one.certificate, 'rpc-tls-key': key }),
        /mismatch|the key is not that of the certificate/,
      );
    }
  });

  void test('certificates are read again when their files change', async () => {
    const node = certificate(authority);
    const broker = await startRpcDs({
      'rpc-tls-cert': node.certificate,
      'rpc-tls-key': node.key,
      'rpc-tls-ca': authority.certificate,
    });
    const next = certificate(stranger);
    renameSync(next.certificate, node.certificate);
    await pause(200);
    // The key is still the old one.
    assert.ok(broker.lines.some((line) => line.includes('not read')));
    const options = { port: broker.port, node: 'a' };
    const mine = certificate(authority);
    const before = { ...options, credentials: trusting(authority, mine) };
    (await RpcPeer.attached(before)).cut();
    renameSync(next.key, node.key);
    await pause(200);
    const after = { ...options, node: 'b', credentials: trusting(stranger, mine) };
    (await RpcPeer.attached(after)).cut();
    await broker.stop();
  });

  void test('without RPC_TLS_CA no certificate is asked for', async () => {
    const node = certificate(authority);
    const broker = await startRpcDs({
      'rpc-tls-cert': node.certificate,
      'rpc-tls-key': node.key,
      'cluster-secret': 's',
    });
    const options = { port: broker.port, credentials: trusting(authority) };
    const peer = await RpcPeer.attached({ ...options, secret: 's' });
    peer.cut();
    await broker.stop();
  });
});
