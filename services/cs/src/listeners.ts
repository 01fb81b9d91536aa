import { networksOf } from '@lmqtt/common/networks';
import type { Settings } from '@lmqtt/common/settings/row';
import { tlsTermsOf } from '@lmqtt/common/tls-files';
import { listenTcp } from './transport/tcp.ts';
import { listenTls } from './transport/tls.ts';
import { listenSecureWebSocket, listenWebSocket } from './transport/websocket.ts';
import type { ByteStream, HandshakeRoom, Listener, TransportEvent } from './transport/transport.ts';

export type ListenerName = 'mqtt' | 'mqtts' | 'ws' | 'wss';

export interface Listeners {
  /** Only of what listens. */
  readonly ports: Readonly<Partial<Record<ListenerName, number>>>;
  close(): Promise<void>;
}

/** Opens what the settings ask for. Rejects with the first error, and then nothing listens. */
export async function openListeners(
  settings: Settings,
  accept: (stream: ByteStream) => void,
  report: (listener: ListenerName, event: TransportEvent) => void,
  room: HandshakeRoom,
): Promise<Listeners> {
  const open: Listener[] = [];
  const ports: Partial<Record<ListenerName, number>> = {};
  const add = async (
    name: ListenerName,
    port: number | null,
    listen: (port: number) => Promise<Listener>,
  ): Promise<void> => {
    if (port === null) return;
    const listener = await listen(port);
    open.push(listener);
    ports[name] = listener.address.port;
  };
  const close = async (): Promise<void> => {
    await Promise.all(open.map((listener) => listener.close()));
  };
  const from = networksOf(settings.proxyProtocolFrom ?? '');
  const proxies =
    settings.proxyProtocolFrom === null || from === undefined
      ? undefined
      : { from, timeoutMs: settings.connectTimeoutMs };
  const options = (name: ListenerName, port: number) => ({
    host: settings.bind,
    port,
    backlog: settings.listenBacklog,
    report: (event: TransportEvent) => report(name, event),
    room,
    proxies,
  });
  const webSocket = {
    path: settings.wsPath,
    // A frame may hold several packets; one that is too large is told so by MQTT (0x95).
    messageBytesMax: settings.maxPacketSize * 2 + (64 << 10),
    strangerBytesMax: settings.maxConnectSize + (64 << 10),
    handshakeTimeoutMs: settings.connectTimeoutMs,
    pages: settings.webPages,
  };
  const secure = {
    files: {
      certificate: settings.tlsCert,
      key: settings.tlsKey,
      keyPassword: settings.tlsKeyPassword,
      authorities: settings.tlsCa,
      revoked: settings.tlsCrl,
    },
    terms: tlsTermsOf(settings),
    clientCertificates: settings.tlsClientCert,
    certificateUser: { part: settings.certUser, pattern: settings.certUserPattern },
    handshakeTimeoutMs: settings.connectTimeoutMs,
  };
  try {
    await add('mqtt', settings.mqttPort, (port) => listenTcp(options('mqtt', port), accept));
    await add('ws', settings.wsPort, (port) =>
      listenWebSocket({ ...options('ws', port), ...webSocket }, accept),
    );
    await add('mqtts', settings.mqttTlsPort, (port) =>
      listenTls({ ...options('mqtts', port), ...secure }, accept),
    );
    await add('wss', settings.wssPort, (port) =>
      listenSecureWebSocket({ ...options('wss', port), ...webSocket, ...secure }, accept),
    );
  } catch (error) {
    await close();
    throw error;
  }
  return { ports, close };
}
