// RocketMQ's Java client, for what others do not write.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mustFindProgram } from '../programs.ts';
import { ensureJars } from './jars.ts';

const source = join(import.meta.dirname, '../../../harness/rocketmq/JavaProducer.java');
const timeoutMs = 120_000;

export interface JavaMessage {
  readonly lmqNames: readonly string[];
  readonly mqttTopic: string;
  readonly compression: 'LZ4' | 'ZSTD' | 'ZLIB';
}

export interface JavaSend {
  /** Of the client. */
  readonly version: string;
  /** `host:port`. */
  readonly namesrv: string;
  readonly topic: string;
  /** The client compresses what is over 4 KiB. */
  readonly body: string;
  /** Sent one after the other, each with that body. */
  readonly messages: readonly JavaMessage[];
}

/** Resolves when RocketMQ has stored them. */
export async function produceByJava(send: JavaSend): Promise<void> {
  const { version, namesrv, topic, body, messages } = send;
  const lib = await ensureJars(version);
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-java-'));
  try {
    const file = join(folder, 'body');
    writeFileSync(file, body);
    // The program is short: it is over before optimised code were worth its making.
    const options = [
      ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', `-Duser.home=${folder}`],
      ...['-cp', `${lib}/*`],
    ];
    const args = messages.flatMap(({ compression, lmqNames, mqttTopic }) => [
      ...[compression, lmqNames.join(','), mqttTopic],
    ]);
    const command = [...options, source, namesrv, topic, file, ...args];
    await promisify(execFile)(mustFindProgram('java'), command, { timeout: timeoutMs });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
