// The table of routes for docs/rest.md.
import { fastify } from 'fastify';

import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';

import { opsEvents } from './events.ts';
import { addRest } from './rest.ts';

interface Route {
  readonly summary?: string;
}

/** A table in Markdown. */
export async function routesMarkdown(): Promise<string> {
  const server = fastify();
  const forward = (): Promise<never> => Promise.reject(new Error('nobody asks'));
  const described = await addRest(server, {
    source: { nodes: undefined, forward },
    local: { nodeId: '', config: () => [], logLevel: () => '', setLogLevel: () => {} },
    access: () => null,
    events: opsEvents(silentLogs().ops, new Metrics()),
  });
  await server.ready();
  const lines = ['| Route | What it does |', '| --- | --- |'];
  const all = Object.entries(described().paths ?? {});
  for (const [path, methods] of all.toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    for (const [method, route] of Object.entries<Route>({ ...methods }))
      lines.push(`| \`${method.toUpperCase()} ${path}\` | ${route.summary ?? ''} |`);
  }
  await server.close();
  return lines.join('\n');
}
