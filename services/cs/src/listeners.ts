import { networksOf } from '@lmqtt/common/networks';
import { webPagesOf } from '@lmqtt/common/settings/resolve';
import type {
  ListenerKind,
  ListenerSettings,
  Settings,
  WebPages,
} from '@lmqtt/common/settings/row';
import { tlsTermsOf } from '@lmqtt/common/tls-files';
import type { ListenerPlace } from './listener-place.ts';
import { listenTcp } from './transport/tcp.ts';
import { listenTls } from './transport/tls.ts';
import { listenSecureWebSocket, listenWebSocket } from './transport/websocket.ts';
import type { ByteStream, HandshakeRoom, Listener, TransportEvent } from './transport/transport.ts';

/** A listener as it is to be opened, and the connections that it has. */
interface PlannedListener {
  readonly place: ListenerPlace;
  readonly settings: ListenerSettings;
  readonly pages: WebPages;
}

/** Ports of what listens, by the names of the listeners. */
export interface ListenerPorts {
  readonly mqtt?: number;
  readonly mqtts?: number;
  readonly ws?: number;
  readonly wss?: number;
  readonly [name: string]: number | undefined;
}

export interface Listeners {
  readonly ports: ListenerPorts;
  close(): Promise<void>;
}

/** The listeners that the settings ask for: those of single ports, then those of the file. */
export function plannedListeners(settings: Settings): readonly PlannedListener[] {
  const planned: PlannedListener[] = [];
  const byPort = (kind: ListenerKind, port: number | null): void => {
    if (port === null) return;
    const own = { ...settings, name: kind, kind, port, authentication: undefined };
    planned.push({
      place: { name: kind, connectionsMax: settings.maxConnections, open: 0 },
      settings: { ...own, certificates: [] },
      pages: settings.webPages,
    });
  };
  byPort('mqtt', settings.mqttPort);
  byPort('ws', settings.wsPort);
  byPort('mqtts', settings.mqttTlsPort);
  byPort('wss', settings.wssPort);
  for (const one of settings.listeners) {
    const place = { name: one.name, connectionsMax: one.maxConnections, open: 0 };
    planned.push({ place, settings: one, pages: webPagesOf(one) });
  }
  return planned;
}

/** The same listeners at the ports that they had. */
export function atPorts(
  planned: readonly PlannedListener[],
  ports: ListenerPorts,
): readonly PlannedListener[] {
  return planned.map((one) => {
    const { settings } = one;
    return { ...one, settings: { ...settings, port: ports[settings.name] ?? settings.port } };
  });
}

/** Opens what is planned. Rejects with the first error, and then nothing listens. */
export async function openListeners(
  settings: Settings,
  planned: readonly PlannedListener[],
  accept: (stream: ByteStream, place: ListenerPlace) => void,
  report: (listener: string, event: TransportEvent) => void,
  room: HandshakeRoom,
): Promise<Listeners> {
  const open: Listener[] = [];
  const ports: Record<string, number> = {};
  const close = async (): Promise<void> => {
    await Promise.all(open.map((listener) => listener.close()));
  };
  try {
    for (const one of planned) {
      const listener = await listen(settings, one, accept, report, room);
      open.push(listener);
      ports[one.settings.name] = listener.address.port;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { ports, close };
}

function listen(
  node: Settings,
  { place, settings, pages }: PlannedListener,
  accept: (stream: ByteStream, place: ListenerPlace) => void,
  report: (listener: string, event: TransportEvent) => void,
  room: HandshakeRoom,
): Promise<Listener> {
  const { name, kind, mount } = settings;
  const from = networksOf(settings.proxyProtocolFrom ?? '');
  const options = {
    host: settings.bind,
    port: settings.port,
    backlog: node.listenBacklog,
    report: (event: TransportEvent) => report(name, event),
    room,
    facts: {
      listener: name,
      ...(mount === null ? {} : { mount }),
      ...(settings.authentication && { authentication: settings.authentication.join(',') }),
    },
    proxies:
      settings.proxyProtocolFrom === null || from === undefined
        ? undefined
        : { from, timeoutMs: node.connectTimeoutMs },
  };
  const webSocket = {
    path: settings.wsPath,
    // A frame may hold several packets; one that is too large is told so by MQTT (0x95).
    messageBytesMax: node.maxPacketSize * 2 + (64 << 10),
    strangerBytesMax: node.maxConnectSize + (64 << 10),
    handshakeTimeoutMs: node.connectTimeoutMs,
    pages,
  };
  const take = (stream: ByteStream): void => accept(stream, place);
  switch (kind) {
    case 'mqtt':
      return listenTcp(options, take);
    case 'ws':
      return listenWebSocket({ ...options, ...webSocket }, take);
    case 'mqtts':
      return listenTls({ ...options, ...secureOf(node, settings) }, take);
    case 'wss':
      return listenSecureWebSocket({ ...options, ...webSocket, ...secureOf(node, settings) }, take);
  }
}

function secureOf(node: Settings, settings: ListenerSettings) {
  const files = {
    certificate: settings.tlsCert,
    key: settings.tlsKey,
    keyPassword: settings.tlsKeyPassword,
    authorities: settings.tlsCa,
    revoked: settings.tlsCrl,
  };
  return {
    files,
    named: settings.certificates.map(({ names, tlsCert, tlsKey, tlsKeyPassword }) => ({
      names,
      files: { ...files, certificate: tlsCert, key: tlsKey, keyPassword: tlsKeyPassword },
    })),
    terms: tlsTermsOf(settings),
    clientCertificates: settings.tlsClientCert,
    certificateUser: { part: settings.certUser, pattern: settings.certUserPattern },
    handshakeTimeoutMs: node.connectTimeoutMs,
  };
}
