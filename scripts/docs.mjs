// Writes the pages of docs/ that are made from the code: settings and metrics. --check only
// compares.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { format, resolveConfig } from 'prettier';

import { settingsMarkdown } from '../services/common/dist/src/settings/describe.js';
import { refusalsMarkdown } from '../services/ds/dist/src/queue-store/rocketmq/refusal.js';
import { nameOfCode } from '../services/ds/dist/src/rocketmq/remoting/codes.js';
import { routesMarkdown } from '../services/ops/dist/src/routes-page.js';
import { metricsMarkdown } from './metrics-page.mjs';

const root = join(import.meta.dirname, '..');
const pages = [
  {
    path: 'docs/settings.md',
    text: () => `# Settings

This page is made from \`services/common/src/settings/table.ts\` by \`npm run docs\`.

A setting can be a flag (\`--mqtt-port 2883\`), a variable in the environment (\`LMQTT_MQTT_PORT=2883\`) or
a line in a file (\`MQTT_PORT=2883\`) that \`--config FILE\` names, which may be given several times. Flags
count more than the environment, the environment more than files. Sizes may be written as \`64k\`, \`1m\`,
\`2g\`, times as \`10s\`, \`5m\`, \`12h\`, \`7d\`. A secret can be in a file of its own, whose path the
setting with \`_FILE\` behind its name has: the flags of a process can be read by every user of its machine.

Files have the syntax of Java's properties: comments begin with \`#\` or \`!\`, \`=\`, \`:\` or white space ends a
name, a \`\\\` begins an escape (\`\\\\\` is a \`\\\` itself) and continues a line at its end. The keys of \`service.conf\`,
\`connect.conf\` and \`meta.conf\` of the Java nodes are known. Files are read again when they change: HMAC_USERNAME,
HMAC_SECRET_KEY (\`username\`, \`secretKey\`) and LOG_LEVEL count at once, all others after a restart; the log says which.

${settingsMarkdown()}
`,
  },
  {
    path: 'docs/metrics.md',
    text: () => `# Metrics

This page is made from the sources by \`npm run docs\`.

Every program serves its metrics for Prometheus at \`/metrics\` of its ops port (OPS_PORT, 9090). Counters
begin at 0 with the process. A label in brackets is there in a cluster only. A process on its own
(standalone) has those of cs and of ds. Node's own metrics (\`process_…\`, \`nodejs_…\`: CPU, memory, garbage
collection, delay of the event loop) are there as well. What to watch first is in
[operations.md](operations.md#what-to-watch).

${metricsMarkdown()}
`,
  },
  {
    path: 'docs/rest.md',
    text: async () => `# REST

The table of routes on this page is made from the sources by \`npm run docs\`.

Every node answers for the whole cluster at \`/api/v1\` of its ops port (OPS_PORT, 9090); a cs passes requests on to a ds. The
whole description is at \`/api/v1/openapi.json\` (OpenAPI 3.1), and to be read at \`/api/v1/docs\`.

- **Lists** come in pages: \`limit\` (100, at most 1000) and \`cursor\`, the \`next\` of the page before; \`next\` is null on the
  last page. A page of a filtered list may have fewer than \`limit\` and still not be the last.
- **Errors** are problem details (RFC 9457, \`application/problem+json\`); \`detail\` is a sentence. An unknown parameter or field
  is refused with 400, so that a mistyped filter does not list everything.
- **Actions** leave a line \`audit\` in the log: who, from where, what, on what, and the status of the answer.

## Tokens

    curl -H "authorization: Bearer $TOKEN" localhost:9090/api/v1/clients

Without tokens the interface is served on loopback only, to everybody there. OPS_TOKEN is one token that may do everything.
OPS_TOKENS_FILE has a line for each further one, \`name:role:SHA-256 of the token in hex\`, and is read again when it changes:

    TOKEN=$(openssl rand -hex 32)
    echo "ann:operator:$(printf %s "$TOKEN" | sha256sum | cut -d' ' -f1)" >> tokens

A viewer reads, an operator also acts, an admin also changes settings. A token stands for the MQTT user of its name: the access
rules of that user count for what it publishes. Each node needs the tokens of those who ask it.

## Routes

${await routesMarkdown()}
`,
  },
  {
    path: 'docs/refusals.md',
    text: () => `# What RocketMQ refuses, and what clients are told

This page is made from \`services/ds/src/queue-store/rocketmq/refusal.ts\` by \`npm run docs\`.

A publish is acknowledged when RocketMQ has stored it. What a broker answers otherwise reaches a client of
MQTT 5.0 as the reason code of its PUBACK (QoS 1) or PUBREC (QoS 2). Where the broker may say another thing later,
the message is sent again until APPEND_WAIT_MS has passed; the code is then that of the last answer.

${refusalsMarkdown(nameOfCode)}

Before RocketMQ is asked, a publish gets

- 0x90 where its topic has U+0001 or U+0002 in it, which RocketMQ keeps for itself;
- 0x99 where its properties have one of these characters;
- 0x97 where its topic and its properties together have more than about 30,000 bytes, and past PENDING_APPEND_BYTES_MAX.

**MQTT 3.1 and 3.1.1** have no reason codes: a publish at QoS 1 or 2 that is not stored is not acknowledged, and the connection is
closed [MQTT-3.3.5-2]. The client connects again and sends it again. Where RocketMQ refuses it each time (\`at once\` in
the table), that goes on until what is wrong is changed: the log of ds names the topic and the broker's answer.

**QoS 0** has no answer: what is not stored is dropped, and counted in \`lmqtt_rocketmq_qos0_dropped_total\`.

**Wills** that RocketMQ refuses at once are given up, and counted; others are tried again.

**SUBSCRIBE**: a filter gets 0x87 (3.1.1: 0x80) where RocketMQ does not let ds ask where its queue ends, and is served
as soon as a broker is there where none is. \`lmqtt doctor\` names each right that is missing, and
[rocketmq-rights.md](rocketmq-rights.md) has the rules to copy.
`,
  },
];

let isOld = false;
for (const { path, text } of pages) {
  const file = join(root, path);
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const made = await format(await text(), { ...(await resolveConfig(file)), parser: 'markdown' });
  if (made === current) continue;
  if (process.argv.includes('--check')) {
    console.error(`${path} is old; run \`npm run docs\``);
    isOld = true;
    continue;
  }
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, made);
}
process.exitCode = isOld ? 1 : 0;
