import {
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  status,
  type StatusObject,
} from '@grpc/grpc-js';
import type { Clock } from '@lmqtt/common/clock';
import type { NodeId } from '@lmqtt/common/ids';
import type { Settings } from '@lmqtt/common/settings/row';
import {
  type ExchangeMethod,
  exchangeMethod,
  frameBytesMax,
  pulsesMethod,
} from '@lmqtt/proto/dispatch';
import { type AskMethod, askMethod, type Question, type Reply } from '@lmqtt/proto/calls/ask';
import type { Admission } from './admission.ts';
import { Attachments, type NodeLine } from './attachments.ts';
import { type Greeting, greetingOf } from './handshake.ts';
import type { RpcEvents } from './rpc-events.ts';
import { type ListenerSettings, RpcListener } from './rpc-listener.ts';
import { type ExchangeCall, RpcStream } from './rpc-stream.ts';
import { withWindow } from './window.ts';

interface RpcOptions {
  readonly settings: ListenerSettings &
    Pick<
      Settings,
      | 'clusterSecret'
      | 'linkWindowFrames'
      | 'linkWindowBytesMax'
      | 'linkBufferBytesMax'
      | 'maxPacketSize'
    >;
  readonly admission: Admission;
  readonly events: RpcEvents;
  readonly clock: Clock;
  /** Answers a request of the REST interface that a cs has let in. */
  readonly answer?: (question: Question) => Promise<Reply>;
}

export interface RpcServer {
  readonly port: number;
  /** Figures of all nodes since their starts, summed, as their last Renew told them. */
  counters(): Record<string, number>;
  nodes(): NodeLine[];
  /** Whether that lane of a cs is here, over an open stream. */
  isHeard(lane: NodeId): boolean;
  /**
   * Asks a cs to drain, or to take clients again; it hears of it with its next renewal. False: it is
   * not attached.
   */
  drain(cs: NodeId, draining: boolean): boolean;
  /** Streams end so that cs comes back at once; sessions stay as they are. */
  stop(): Promise<void>;
}

/**
 * A turn's writes of session state are one item, however many: room for those of all sessions. A
 * frame that is refused for its size would be sent again for ever.
 */
const frameSlackBytes = 256 * 1024 * 1024;
const idleMs = 10_000;
const streamsMax = 4;

/** Listens when it resolves; rejects with the socket's error, such as EADDRINUSE. */
export async function startRpc(options: RpcOptions): Promise<RpcServer> {
  const { settings, admission, events, clock } = options;
  const receivedBytesMax = frameBytesMax + settings.maxPacketSize + frameSlackBytes;
  const attachments = new Attachments({
    admission,
    events,
    clock,
    limits: {
      windowFrames: settings.linkWindowFrames,
      windowBytesMax: settings.linkWindowBytesMax,
      frameBytesMax,
      receivedBytesMax,
      gatherMs: () => admission.gatherMs ?? 0,
    },
    waitingBytesMax: settings.linkBufferBytesMax,
  });
  const grpc = new Server({
    'grpc.enable_channelz': 0,
    'grpc.max_receive_message_length': receivedBytesMax,
    'grpc.max_send_message_length': -1,
    'grpc.max_connection_idle_ms': idleMs,
    'grpc.max_concurrent_streams': streamsMax,
  });
  const injector = withWindow(() =>
    grpc.createConnectionInjector(ServerCredentials.createInsecure()),
  );
  const listener = await RpcListener.open(settings, events, (socket) =>
    injector.injectConnection(socket),
  );
  let stopping = false;
  const serve = (
    { path, responseSerialize, requestDeserialize }: ExchangeMethod,
    open: (greeting: Greeting, stream: RpcStream) => void,
  ): void => {
    const opened = (call: ExchangeCall): void => {
      const stream = new RpcStream(call, listener.peer(call.getPeer()));
      const greeting = greetingOf(call.metadata, settings.clusterSecret);
      if (greeting.kind === 'unwelcome') {
        events.refused(greeting.reason, stream.address, greeting.detail);
        stream.end(greeting.code, greeting.detail);
      } else if (stopping) {
        stream.end(status.UNAVAILABLE, 'ds is stopping');
      } else {
        open(greeting, stream);
      }
    };
    grpc.register(path, opened, responseSerialize, requestDeserialize, 'bidi');
  };
  const { answer } = options;
  if (answer !== undefined) {
    const { path, responseSerialize, requestDeserialize }: AskMethod = askMethod;
    const asked = (call: ServerUnaryCall<Question, Reply>, reply: sendUnaryData<Reply>): void => {
      const peer = listener.peer(call.getPeer());
      peer?.streamOpened();
      const end = (error: Partial<StatusObject> | null, value?: Reply): void => {
        reply(error, value);
        peer?.streamEnded();
      };
      const greeting = greetingOf(call.metadata, settings.clusterSecret);
      if (greeting.kind === 'unwelcome') {
        events.refused(greeting.reason, call.getPeer(), greeting.detail);
        end({ code: greeting.code, details: greeting.detail });
        return;
      }
      answer(call.request).then(
        (value) => end(null, value),
        (error: unknown) => end({ code: status.INTERNAL, details: String(error) }),
      );
    };
    grpc.register(path, asked, responseSerialize, requestDeserialize, 'unary');
  }
  serve(exchangeMethod, (greeting, stream) => attachments.open(greeting, stream));
  serve(pulsesMethod, (greeting, stream) => attachments.openPulses(greeting, stream));
  events.watch({
    get attachments() {
      return attachments.count;
    },
    get waitingBytes() {
      return attachments.waitingBytes;
    },
    get unacknowledgedFrames() {
      return attachments.unacknowledgedFrames;
    },
  });
  return {
    port: listener.port,
    counters: () => attachments.counters(),
    nodes: () => attachments.nodes(),
    isHeard: (lane) => attachments.isHeard(lane),
    drain: (cs, draining) => attachments.drain(cs, draining),
    async stop() {
      stopping = true;
      const closed = listener.stop();
      attachments.stop();
      await closed;
      injector.destroy();
      grpc.forceShutdown();
    },
  };
}
