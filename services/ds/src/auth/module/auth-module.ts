// A module of the operator's own that says who clients are and what they may do. It has a default
// export: an object with any of the functions below, or a function that makes one, which may be
// asynchronous.
//
//   authenticate(client)  once for each CONNECT
//     client: { clientid, username, password (Buffer), peerhost, proto_ver, cert_subject, cert_user }
//     answer: 'allow' | 'deny' | 'ignore', or { result, is_superuser, acl, expire_at, username } as
//     from an HTTP service; or a promise of it
//   authorise({ clientid, username, peerhost, action, topic })  for a topic that is published to,
//     and for a filter that is subscribed to: false says no, true and undefined leave it to the
//     rules of the identity and of ACL_FILE; at once, no promise
//   onConnect, onDisconnect, onSubscribe, onPublish, onDeliver  see hooks/hooks.ts
//   close()  at the end of the process
//
// A function that throws, or takes longer than AUTH_MODULE_TIMEOUT_MS, refuses the client with 0x88
// or the topic, is counted and told.

import type { ClientId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type {
  AccessAction,
  AuthDecision,
  Authenticator,
  AuthRequest,
  Principal,
} from '../auth-provider.ts';
import { hookNames, type Hooks } from '../../hooks/hooks.ts';
import { boundTo, loadModule } from '../../hooks/load-module.ts';
import { decisionIn } from '../said-decision.ts';

interface AuthModuleOptions {
  readonly timeoutMs: number;
  /** A function has thrown, or has given no answer that is known, or none in time. */
  readonly failed: (name: 'authenticate' | 'authorise', problem: string) => void;
}

export interface AuthClient {
  readonly clientid: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  readonly peerhost: string;
  readonly proto_ver: number;
  readonly cert_subject: string | undefined;
  readonly cert_user: string | undefined;
}

export interface AuthQuestion {
  readonly clientid: string;
  readonly username: string | undefined;
  readonly peerhost: string;
  readonly action: AccessAction;
  readonly topic: string;
}

export interface AuthAnswer {
  readonly result: 'allow' | 'deny' | 'ignore';
  readonly username?: string;
  readonly is_superuser?: boolean;
  /** Access rules, in a form of docs/identities.md. */
  readonly acl?: object;
  /** Seconds since 1970 at which the connection ends. */
  readonly expire_at?: number;
}

type Said = AuthAnswer | AuthAnswer['result'];

export interface AuthFunctions {
  readonly authenticate?: (client: AuthClient) => Said | Promise<Said>;
  readonly authorise?: (question: AuthQuestion) => boolean | undefined;
  readonly close?: () => unknown;
}

/** Functions of a module of AUTH_MODULE. */
export type ModuleFunctions = AuthFunctions & Hooks;

const names = ['authenticate', 'authorise', 'close', ...hookNames] as const;
const unavailable: AuthDecision = {
  kind: 'deny',
  reasonCode: ReasonCode.serverUnavailable,
  reason: 'AUTH_MODULE gives no answer',
};

export class AuthModule implements Authenticator {
  readonly functions: ModuleFunctions;
  readonly #options: AuthModuleOptions;

  /** Rejects where the module cannot be loaded or has none of the functions. */
  static async open(path: string, options: AuthModuleOptions): Promise<AuthModule> {
    try {
      return new AuthModule(await load(path), options);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`AUTH_MODULE ${path}: ${why}`, { cause: error });
    }
  }

  constructor(functions: ModuleFunctions, options: AuthModuleOptions) {
    this.functions = boundFunctions(functions);
    this.#options = options;
  }

  async authenticate(request: AuthRequest): Promise<AuthDecision> {
    const { authenticate } = this.functions;
    if (authenticate === undefined) return { kind: 'pass' };
    const { clientId, userName, password, peer, protocolVersion } = request;
    const client = {
      ...{ clientid: clientId, username: userName, password, peerhost: peer.address },
      ...{ proto_ver: protocolVersion, cert_subject: peer.certificateSubject },
      cert_user: peer.certificateUser,
    };
    try {
      const said = await this.#inTime(() => authenticate(client));
      return decisionIn(typeof said === 'string' ? { result: said } : said, request);
    } catch (error) {
      this.#options.failed('authenticate', error instanceof Error ? error.message : String(error));
      return unavailable;
    }
  }

  /** True: the rules decide. */
  authorise(
    { user }: Principal,
    clientId: ClientId,
    address: string,
    action: AccessAction,
    topic: string,
  ): boolean {
    const { authorise } = this.functions;
    if (authorise === undefined) return true;
    try {
      const question = { clientid: clientId, username: user, peerhost: address, action, topic };
      const said: unknown = authorise(question);
      if (said === undefined || typeof said === 'boolean') return said !== false;
      throw new Error('the answer is none of true, false and undefined');
    } catch (error) {
      this.#options.failed('authorise', error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  close(): void {
    try {
      void this.functions.close?.();
    } catch {
      // The process ends, with or without it.
    }
  }

  async #inTime(ask: () => unknown): Promise<unknown> {
    const { timeoutMs } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      return await Promise.race([ask(), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

async function load(path: string): Promise<ModuleFunctions> {
  const functions: ModuleFunctions = await loadModule(path, names);
  if (names.every((name) => name === 'close' || functions[name] === undefined))
    throw new Error('it has neither authenticate nor authorise, and no hook');
  return functions;
}

/** The functions, each of which may speak of the others by `this`. */
export function boundFunctions(functions: ModuleFunctions): ModuleFunctions {
  return boundTo(functions, names);
}
