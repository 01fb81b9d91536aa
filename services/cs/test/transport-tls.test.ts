import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { defaultSettings } from '@lmqtt/common/settings/read';
import { type TlsTerms, tlsTermsOf } from '@lmqtt/common/tls-files';
import type { ClientCertificates } from '../src/transport/certificates.ts';
import { listenTls } from '../src/transport/tls.ts';
import { nobody } from '../src/transport/transport.ts';
import type { ByteStream, Listener, TransportEvent } from '../src/transport/transport.ts';
import { CertificateAuthority, needsOpenssl, type Pair } from './certificate-authority.ts';

const host = '127.0.0.1';

interface Started {
  readonly listener: Listener;
  readonly streams: ByteStream[];
  readonly events: TransportEvent[];
}

describe('tls', needsOpenssl, () => {
  const authority = needsOpenssl.skip === false ? new CertificateAuthority() : undefined;
  after(() => authority?.remove());

  async function start(
    t: TestContext,
    files: Pair,
    clientCertificates: ClientCertificates = 'none',
    handshakeTimeoutMs = 5000,
    { revoked, ...terms }: Partial<TlsTerms> & { readonly revoked?: string } = {},
  ): Promise<Started> {
    const streams: ByteStream[] = [];
    const events: TransportEvent[] = [];
    const listener = await listenTls(
      {
        host,
        port: 0,
        backlog: 16,
        files: { ...files, authorities: authority!.root.certificate, revoked },
        terms: { ...tlsTermsOf(defaultSettings()), ...terms },
        clientCertificates,
        handshakeTimeoutMs,
        report: (event) => events.push(event),
      },
      (stream) => {
        streams.push(stream);
        stream.owner = { ...nobody, received: (chunk) => stream.write(chunk) };
      },
    );
    t.after(async () => {
      for (const stream of streams) stream.destroy();
      await listener.close();
    });
    return { listener, streams, events };
  }

  function client(
    t: TestContext,
    port: number,
    own?: Pair,
    options: ConnectionOptions = {},
  ): TLSSocket {
    const pair = own && { cert: readFileSync(own.certificate), key: readFileSync(own.key) };
    const ca = readFileSync(authority!.root.certificate);
    const socket = connect({ host, port, ca, ...pair, ...options });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    return socket;
  }

  /** Whether the server takes the client: it then echoes. */
  async function isTaken(socket: TLSSocket): Promise<boolean> {
    socket.write('x');
    return new Promise((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
  }

  async function until(holds: () => boolean): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (!holds()) {
      assert.ok(Date.now() < deadline, 'in time');
      await sleep(5);
    }
  }

  it('gives the names of a client certificate', async (t) => {
    const own = authority!.signed('/C=DE/O=Site, One/CN=pümp\\+1');
    const { listener, streams } = await start(t, authority!.signed('/CN=s'), 'required');
    assert.equal(await isTaken(client(t, listener.address.port, own)), true);
    assert.equal(streams[0]?.peer.certificateSubject, 'C=DE,O=Site\\, One,CN=pümp\\+1');
  });

  it('takes none, some or any certificate, as it is told', async (t) => {
    const server = authority!.signed('/CN=s');
    const good = authority!.signed('/CN=good');
    const stranger = authority!.selfSigned('/CN=good');
    const expected: [ClientCertificates, Pair | undefined, boolean][] = [
      ['none', undefined, true],
      ['none', stranger, true],
      ['optional', undefined, true],
      ['optional', good, true],
      ['optional', stranger, false],
      ['required', undefined, false],
      ['required', good, true],
      ['required', stranger, false],
    ];
    for (const [kind, own, taken] of expected) {
      const { listener, streams, events } = await start(t, server, kind);
      const name = `${kind} ${own?.certificate}`;
      assert.equal(await isTaken(client(t, listener.address.port, own)), taken, name);
      assert.equal(streams.length, taken ? 1 : 0);
      if (kind === 'none') assert.equal(streams[0]?.peer.certificateSubject, undefined);
      if (!taken) assert.equal(events[0]?.kind, 'handshake-failed', name);
    }
  });

  it('reads certificates again, and drops nobody', async (t) => {
    const [first, second, third] = ['one', 'two', 'three'].map((name) =>
      authority!.signed(`/CN=${name}`),
    );
    const other = authority!.signed('/CN=other kind', 'rsa');
    const files = {
      certificate: join(authority!.folder, 'live.crt'),
      key: join(authority!.folder, 'live.key'),
    };
    const install = (pair: Pair): void => {
      copyFileSync(pair.key, files.key);
      copyFileSync(pair.certificate, files.certificate);
    };
    install(first!);
    const { listener, streams, events } = await start(t, files);
    const { port } = listener.address;
    const nameSeen = async (): Promise<string | undefined> => {
      const socket = client(t, port);
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().subject.CN;
    };
    const old = client(t, port);
    assert.equal(await isTaken(old), true);
    install(second!);
    await until(() => events.at(-1)?.kind === 'certificates-read');
    assert.equal(await nameSeen(), 'two');
    writeFileSync(files.certificate, 'nonsense');
    await until(() => events.at(-1)?.kind === 'certificates-refused');
    assert.equal(await nameSeen(), 'two');
    // The key of one and the certificate of another.
    copyFileSync(third!.certificate, files.certificate);
    const before = events.length;
    await until(() => events.length > before);
    assert.equal(events.at(-1)?.kind, 'certificates-refused');
    assert.equal(await nameSeen(), 'two');
    // Keys of different kinds, which OpenSSL takes.
    copyFileSync(other.certificate, files.certificate);
    const early = events.length;
    await until(() => events.length > early);
    assert.equal(events.at(-1)?.kind, 'certificates-refused');
    assert.equal(await nameSeen(), 'two');
    install(third!);
    await until(() => events.at(-1)?.kind === 'certificates-read');
    assert.equal(await nameSeen(), 'three');
    assert.equal(await isTaken(old), true, 'the first is still there');
    assert.ok(streams.length >= 1);
    for (const event of events)
      if (event.kind === 'certificates-refused')
        assert.doesNotMatch(event.reason, /BEGIN|nonsense/);
  });

  it('does not start with files that do not fit', async () => {
    const [one, other] = [authority!.signed('/CN=a'), authority!.signed('/CN=b')];
    const options = {
      host,
      port: 0,
      backlog: 1,
      clientCertificates: 'none',
      handshakeTimeoutMs: 1000,
      terms: tlsTermsOf(defaultSettings()),
    } as const;
    const broken = { certificate: one.certificate, key: other.key };
    await assert.rejects(
      listenTls({ ...options, files: broken }, () => {}),
      /mismatch/,
    );
    const [ec, rsa] = [one, authority!.signed('/CN=c', 'rsa')];
    for (const [shown, own] of [
      [ec, rsa],
      [rsa, ec],
    ] as const) {
      const files = { certificate: shown.certificate, key: own.key };
      await assert.rejects(
        listenTls({ ...options, files }, () => {}),
        /the key is not that of the certificate/,
      );
    }
    await assert.rejects(
      listenTls({ ...options, files: one, terms: { ...options.terms, ciphers: 'none' } }, () => {}),
      /TLS_CIPHERS none/,
    );
    const absent = { certificate: one.certificate, key: '/nonexistent' };
    await assert.rejects(
      listenTls({ ...options, files: absent }, () => {}),
      /ENOENT/,
    );
  });

  it('speaks no suite without forward secrecy unless it is told to', async (t) => {
    const rsa = authority!.signed('/CN=s', 'rsa');
    const old = { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' } as const;
    const { listener } = await start(t, rsa);
    assert.equal(await isTaken(client(t, listener.address.port, undefined, old)), false);
    const current = { maxVersion: 'TLSv1.2' } as const;
    assert.equal(await isTaken(client(t, listener.address.port, undefined, current)), true);
    const wide = await start(t, rsa, 'none', 5000, { ciphers: 'DEFAULT' });
    assert.equal(await isTaken(client(t, wide.listener.address.port, undefined, old)), true);
  });

  it('speaks the oldest version that it is told, and none before', async (t) => {
    const { listener } = await start(t, authority!.signed('/CN=s'), 'none', 5000, {
      minVersion: 'TLSv1.3',
    });
    const { port } = listener.address;
    assert.equal(await isTaken(client(t, port, undefined, { maxVersion: 'TLSv1.2' })), false);
    assert.equal(await isTaken(client(t, port)), true);
  });

  it('takes no revoked certificate', async (t) => {
    const [good, bad] = [authority!.signed('/CN=good'), authority!.signed('/CN=bad')];
    const revoked = authority!.revoked(bad);
    for (const kind of ['required', 'optional'] as const) {
      const server = authority!.signed('/CN=s');
      const { listener } = await start(t, server, kind, 5000, { revoked });
      assert.equal(await isTaken(client(t, listener.address.port, good)), true, kind);
      assert.equal(await isTaken(client(t, listener.address.port, bad)), false, kind);
    }
    await assert.rejects(
      start(t, good, 'required', 5000, { revoked: good.certificate }),
      /no revocation list/,
    );
  });

  it('sends away who does not shake hands', async (t) => {
    const { listener, streams, events } = await start(t, authority!.signed('/CN=s'), 'none', 200);
    const { port } = listener.address;
    const talker = connectTcp({ host, port });
    talker.on('error', () => {});
    talker.resume();
    talker.write('\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0');
    await once(talker, 'close');
    const silent = connectTcp({ host, port });
    silent.on('error', () => {});
    silent.resume();
    await once(silent, 'close');
    await until(() => events.length === 2);
    assert.deepEqual(
      events.map((event) => event.kind),
      ['handshake-failed', 'handshake-failed'],
    );
    assert.equal(streams.length, 0);
  });

  it('leaves no handshake behind when it closes', async (t) => {
    const { listener } = await start(t, authority!.signed('/CN=s'), 'none', 60_000);
    const silent = connectTcp({ host, port: listener.address.port });
    silent.on('error', () => {});
    silent.resume();
    await once(silent, 'connect');
    await sleep(50);
    await listener.close();
    await once(silent, 'close');
  });
});
