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
  /** `host:port`. */
  readonly namesrv: string;
  readonly topic: string;
  readonly lmqNames: readonly string[];
  readonly mqttTopic: string;
  /** The client compresses what is over 4 KiB. */
  readonly body: string;
  readonly compression: 'LZ4' | 'ZSTD' | 'ZLIB';
}

/** Resolves when RocketMQ has stored it. `version`: of the client. */
export async function produceByJava(version: string, message: JavaMessage): Promise<void> {
  const lib = await ensureJars(version);
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-java-'));
  try {
    const file = join(folder, 'body');
    writeFileSync(file, message.body);
    const { namesrv, topic, lmqNames, mqttTopic, compression } = message;
    const options = [
      `-Drocketmq.message.compressType=${compression}`,
      `-Duser.home=${folder}`,
      ...['-cp', `${lib}/*`],
    ];
    const args = [namesrv, topic, lmqNames.join(','), mqttTopic, file];
    await promisify(execFile)(mustFindProgram('java'), [...options, source, ...args], {
      timeout: timeoutMs,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
