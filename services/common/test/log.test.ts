import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openLogs } from '../src/log.ts';

test('a line is JSON with level, time and the name of its logger, and hides secrets', async () => {
  const lines: string[] = [];
  const logs = await openLogs({ level: 'info', stream: { write: (line) => lines.push(line) } });
  logs.auth.info({ userName: 'u', password: 'p1', connect: { password: 'p2' } }, 'refused');
  logs.auth.debug('not at this level');
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.equal(line['level'], 'info');
  assert.equal(line['name'], 'auth');
  assert.equal(line['msg'], 'refused');
  assert.equal(line['userName'], 'u');
  assert.doesNotMatch(lines[0] ?? '', /p1|p2/);
});
