// Questions of operators that a cs passes on to a ds. Each has a connection of its own: they are
// rare, and must not wait behind messages.
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Settings } from '@lmqtt/common/settings/row';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';
import { askMethod, type Question, type Reply } from '@lmqtt/proto/calls/ask';
import { metadataNames, protocolVersion } from '@lmqtt/proto/dispatch';
import { addressText, type Directory, type DsNode } from './directory.ts';
import { credentialsOf, type StreamTls } from './stream-credentials.ts';
import { targetOf } from './ds-stream.ts';

const connectMs = 2000;
const answerMs = 30_000;

type Connection = Pick<
  Settings,
  'clusterSecret' | 'nodeId' | 'rpcTlsCa' | 'rpcTlsCert' | 'rpcTlsKey'
>;

export class DsQuestions {
  readonly #directory: Directory;
  readonly #tls: StreamTls;
  readonly #metadata = new Metadata();

  constructor(directory: Directory, settings: Connection) {
    this.#directory = directory;
    this.#tls = {
      certificate: settings.rpcTlsCert,
      key: settings.rpcTlsKey,
      authorities: settings.rpcTlsCa,
    };
    const { protocol, secret, node, instance } = metadataNames;
    this.#metadata.set(protocol, String(protocolVersion));
    this.#metadata.set(secret, settings.clusterSecret ?? '');
    this.#metadata.set(node, settings.nodeId);
    this.#metadata.set(instance, 'ops');
  }

  /**
   * Asks one ds after another until one is reached. A question that changes something is asked
   * once. Rejects with `StoreFailure` where there is no answer.
   */
  async ask(question: Question): Promise<Reply> {
    const all = this.#directory.nodes();
    const nodes = [...all.filter(({ draining }) => !draining), ...all.filter((n) => n.draining)];
    let failure = 'no ds is known';
    for (const node of nodes) {
      const client = new Client(targetOf(node), credentialsOf(this.#tls));
      try {
        if (!(await isReached(client))) {
          failure = `no answer from ds at ${addressText(node)}`;
          continue;
        }
        return await this.#askAt(client, question);
      } catch (error) {
        failure = reasonOf(node, error);
        if (question.method !== 'GET') break;
      } finally {
        client.close();
      }
    }
    throw new StoreFailure(failure, ReasonCode.serverUnavailable);
  }

  #askAt(client: Client, question: Question): Promise<Reply> {
    const { path, requestSerialize, responseDeserialize } = askMethod;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        question,
        this.#metadata,
        { deadline: Date.now() + answerMs },
        (error, reply) => {
          if (reply === undefined) reject(error ?? new Error('no reply'));
          else resolve(reply);
        },
      );
    });
  }
}

function isReached(client: Client): Promise<boolean> {
  return new Promise((resolve) => {
    client.waitForReady(Date.now() + connectMs, (error) => resolve(error === undefined));
  });
}

function reasonOf(node: DsNode, error: unknown): string {
  const { code, details } = error as Partial<ServiceError>;
  const at = addressText(node);
  if (code === status.UNIMPLEMENTED) return `ds at ${at} is of an older version`;
  return `ds at ${at}: ${details ?? String(error)}`;
}
