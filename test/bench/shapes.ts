// Our broker in its two shapes, each with a data directory of its own that goes with it. It is
// killed at the end, as its peers are, unless it is profiled: only an orderly end writes a profile.
import { existsSync } from 'node:fs';

import { startCluster } from '../harness/cluster.ts';
import { programPath } from '../harness/process.ts';
import { StandaloneBroker } from '../harness/standalone-broker.ts';
import type { ProfiledProcess, RunningBroker, Shape, StartOptions } from './running-broker.ts';

export function isBuilt(): boolean {
  return existsSync(programPath);
}

function settingsOf({ certificate, settings }: StartOptions): Record<string, string> {
  const tls =
    certificate === undefined
      ? {}
      : { MQTT_TLS_PORT: '0', TLS_CERT: certificate.cert, TLS_KEY: certificate.key };
  return { LOG_LEVEL: 'warn', ...settings, ...tls };
}

function nodeArgsOf({ profiling }: StartOptions, process: ProfiledProcess): readonly string[] {
  if (profiling?.of !== process) return [];
  return ['--cpu-prof', `--cpu-prof-dir=${profiling.dir}`];
}

async function startStandalone(options: StartOptions): Promise<RunningBroker> {
  const nodeArgs = nodeArgsOf(options, 'broker');
  const broker = new StandaloneBroker({ settings: settingsOf(options), nodeArgs });
  try {
    await broker.start();
  } catch (error) {
    await broker.stop();
    throw error;
  }
  const tls = options.certificate !== undefined;
  const port = tls ? (broker.mqttsPort ?? 0) : broker.mqttPort;
  return {
    name: 'standalone',
    target: { ports: [port], processes: [{ name: 'broker', pid: broker.pid }], tls },
    stop: async () => {
      if (nodeArgs.length === 0) await broker.kill();
      await broker.stop();
    },
  };
}

async function startSplit(options: StartOptions): Promise<RunningBroker> {
  const dsNodeArgs = nodeArgsOf(options, 'ds');
  const csNodeArgs = nodeArgsOf(options, 'cs');
  const settings = settingsOf(options);
  const cluster = await startCluster({ cs: options.cs, settings, dsNodeArgs, csNodeArgs });
  const tls = options.certificate !== undefined;
  return {
    name: 'split',
    target: {
      ports: cluster.cs.map((node) => node.port(tls ? 'mqtts' : 'mqtt')),
      processes: [...cluster.cs, cluster.ds].map(({ name, process: { pid } }) => ({ name, pid })),
      tls,
    },
    stop: async () => {
      if (dsNodeArgs.length + csNodeArgs.length === 0) await cluster.kill();
      await cluster.stop();
    },
  };
}

export function startShape(shape: Shape, options: StartOptions): Promise<RunningBroker> {
  return shape === 'standalone' ? startStandalone(options) : startSplit(options);
}
