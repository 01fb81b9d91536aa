// RocketMQ's own command for operators, as its documentation has it: `mqadmin updateKvConfig …`.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { mustFindProgram } from '../programs.ts';
import { deployFile, ensureJars } from './jars.ts';

const timeoutMs = 120_000;

/** What it prints. `version`: of the command. */
export async function mqadmin(version: string, ...args: readonly string[]): Promise<string> {
  const lib = await ensureJars(version);
  const folder = mkdtempSync(join(tmpdir(), 'lmqtt-mqadmin-'));
  try {
    // 4.x reads its log settings from there.
    mkdirSync(join(folder, 'conf'));
    copyFileSync(deployFile('logback.xml'), join(folder, 'conf', 'logback_tools.xml'));
    const options = [`-Duser.home=${folder}`, `-Drocketmq.home.dir=${folder}`, '-cp', `${lib}/*`];
    const main = 'org.apache.rocketmq.tools.command.MQAdminStartup';
    const { stdout } = await promisify(execFile)(
      mustFindProgram('java'),
      [...options, main, ...args],
      { timeout: timeoutMs },
    );
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
