// A broker within another program:
//
//   import { startBroker } from 'lmqtt';
//   const broker = await startBroker({ settings: { mqttPort: 1883, dataDir: './data' } });
//   await broker.publish({ topic: 'greeting', payload: 'hello', qos: 1, retain: true });
//   await broker.close();
//
// Several may run in one process. Each has listeners, stores and metrics of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { messageOf } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { nearest } from '@lmqtt/common/settings/nearest';
import { SettingsError } from '@lmqtt/common/settings/parse';
import { readSettings } from '@lmqtt/common/settings/read';
import { camelCase, type CamelCase, rows, type SettingName } from '@lmqtt/common/settings/row';
import { isValidTopicName } from '@lmqtt/common/topic';
import {
  type AuthFunctions,
  boundFunctions,
  type DsService,
  type Hooks,
  type MetaFunctions,
  type ModuleFunctions,
} from '@lmqtt/ds/service';

import type { Ports } from './program.ts';
import { startStandalone } from './service.ts';

export { SettingsError } from '@lmqtt/common/settings/parse';
export type {
  AuthAnswer,
  AuthClient,
  AuthFunctions,
  AuthQuestion,
  ChangedMessage,
  HookClient,
  HookConnect,
  HookDeliveries,
  HookDisconnect,
  HookProperties,
  HookPublish,
  Hooks,
  HookSubscribe,
  MetaFunctions,
  PublishVerdict,
  RetainedRecord,
  SubscribeVerdict,
} from '@lmqtt/ds/service';

/**
 * The settings of docs/settings.md by their names in camel case: `mqttPort` is MQTT_PORT. Sizes and
 * times may be texts such as `64k` and `10s`.
 */
export type BrokerSettings = {
  readonly [N in SettingName as CamelCase<N>]?: string | number | boolean | undefined;
};

export interface BrokerOptions {
  /**
   * Unless said otherwise: a free port for MQTT on loopback, no other listener, no log, and a data
   * folder that is made in the folder for temporary files and removed by `close`.
   */
  readonly settings?: BrokerSettings;
  /** Functions that say who clients are and what they may do, as a module of AUTH_MODULE has them. */
  readonly auth?: AuthFunctions;
  /** Functions that hear of clients and messages, and may change what becomes of them. */
  readonly hooks?: Hooks;
  /** Functions that keep retained messages, as a module of META_MODULE has them. */
  readonly meta?: MetaFunctions;
}

export interface Publication {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  /** Default 0. */
  readonly qos?: Qos;
  readonly retain?: boolean;
  /** Seconds after which it is delivered no more. */
  readonly expiryS?: number;
}

export interface EmbeddedBroker {
  /** Ports of what listens: `mqtt`, `mqtts`, `ws`, `wss`, `ops`. */
  readonly ports: Ports;
  /**
   * Resolves when the message is stored, at QoS 0 when it was given to those who are connected.
   * Rejects with `PublishRefused`, and with a `TypeError` where the topic is not valid.
   */
  publish(publication: Publication): Promise<void>;
  /** Resolves with the error where the broker cannot go on; otherwise never. */
  readonly failure: Promise<Error>;
  /** Says goodbye to clients, writes what is pending, and removes a temporary data folder. */
  close(): Promise<void>;
}

export class PublishRefused extends Error {
  override readonly name = 'PublishRefused';
  /** The code that PUBACK has for it (MQTT 5.0, 3.4.2.1). */
  readonly reasonCode: number;

  constructor(reasonCode: number) {
    super(`the message was refused with reason code 0x${reasonCode.toString(16)}`);
    this.reasonCode = reasonCode;
  }
}

/** Names of settings in camel case, to those of the table. */
const nameOf: ReadonlyMap<string, SettingName> = new Map(
  rows.map(({ name }) => [camelCase(name), name]),
);

const quiet = { mqttPort: 0, wsPort: 'off', opsPort: 'off', logLevel: 'silent' } as const;

/** Rejects with `SettingsError`, or where a port is in use or the store cannot be opened. */
export async function startBroker(options: BrokerOptions = {}): Promise<EmbeddedBroker> {
  const { settings: given = {}, auth, hooks, meta } = options;
  const isTemporary = given.dataDir === undefined;
  const dataDir = isTemporary ? await mkdtemp(join(tmpdir(), 'lmqtt-')) : given.dataDir;
  const removed = async (): Promise<void> => {
    if (isTemporary) await rm(String(dataDir), { recursive: true, force: true });
  };
  try {
    const closed = auth?.authenticate === undefined ? {} : { allowAnonymous: false };
    const environment = environmentOf({ ...quiet, ...closed, ...given, dataDir });
    const settings = readSettings({ args: [], environment }, 'standalone');
    let ds: DsService | undefined;
    const program = await startStandalone(settings, {
      auth: functionsOf(auth, hooks),
      meta,
      opened: (service) => {
        ds = service;
      },
    });
    const end = async (): Promise<void> => {
      try {
        await program.stop();
      } finally {
        await removed();
      }
    };
    let closing: Promise<void> | undefined;
    return {
      ports: program.ports,
      failure: program.failure,
      publish: (publication) => publish(ds, publication),
      close: () => (closing ??= end()),
    };
  } catch (error) {
    await removed();
    throw error;
  }
}

/** Functions of both, each of which may speak of its own object by `this`. */
function functionsOf(
  auth: AuthFunctions | undefined,
  hooks: Hooks | undefined,
): ModuleFunctions | undefined {
  if (auth === undefined && hooks === undefined) return undefined;
  return { ...boundFunctions(auth ?? {}), ...boundFunctions(hooks ?? {}) };
}

function environmentOf(settings: BrokerSettings): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined) continue;
    const known = nameOf.get(name);
    if (known === undefined) throw unknownName(name);
    environment[`LMQTT_${known}`] = String(value);
  }
  return environment;
}

function unknownName(name: string): SettingsError {
  const meant = nearest(name, nameOf.keys());
  const hint = meant === undefined ? 'see docs/settings.md' : `did you mean ${meant}?`;
  return new SettingsError(`${name}: there is no such setting (${hint})`);
}

async function publish(ds: DsService | undefined, publication: Publication): Promise<void> {
  if (ds === undefined)
    throw new Error('publish needs a broker on its own stores: connect an MQTT client instead');
  const { topic, payload, qos = 0, retain = false, expiryS = 0 } = publication;
  if (!isValidTopicName(topic)) throw new TypeError('the topic is not valid');
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload);
  const expiresAtMs = expiryS > 0 ? Date.now() + expiryS * 1000 : 0;
  const message = messageOf({ topic, qos, retain, payload: bytes, expiryS, expiresAtMs });
  const reasonCode = await ds.publish(message);
  if (reasonCode >= 0x80) throw new PublishRefused(reasonCode);
}
