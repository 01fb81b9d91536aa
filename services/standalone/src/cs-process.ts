// The composition root of the cs process: a cs, its link to a ds elsewhere, and ops. No store.
import { setTimeout as delay } from 'node:timers/promises';

import type { Settings } from '@lmqtt/common/settings/row';
import { Counters } from '@lmqtt/cs/counters';
import { FixedDirectory } from '@lmqtt/cs/link/fixed-directory';
import { LinkCounters, LinkEvents } from '@lmqtt/cs/link/link-events';
import { RemoteLinkServer } from '@lmqtt/cs/link/remote-link';
import { clockOfLink } from '@lmqtt/cs/link/wall-offset';
import { type CsService, startCs } from '@lmqtt/cs/service';

import { type RunningProgram, serveOps, startProgram } from './program.ts';
import { sysCounters } from './sys-counters.ts';

/** So long clients find nobody rather than somebody who has to refuse them. */
const firstLinkMs = 10_000;

/**
 * Rejects where a port is in use or ds refuses this node; then nothing is left running. Without ds
 * it starts nevertheless, refuses clients, and goes on when ds has come.
 */
export function startCsProcess(
  settings: Settings,
  stopping?: AbortSignal,
): Promise<RunningProgram> {
  return startProgram(settings, stopping, async (program) => {
    const { clock, logs, metrics, lifecycle, stopping, fail } = program;
    const counters = new Counters();
    let cs: CsService | undefined;
    const server = new RemoteLinkServer({
      settings,
      directory: new FixedDirectory(settings.ds),
      clock,
      events: new LinkEvents(logs.broker, new LinkCounters(metrics)),
      counters: () => sysCounters(counters),
      connections: () => cs?.node.connections.sessionCount ?? 0,
    });
    const isUp = (): boolean => cs?.node.link.up === true;
    lifecycle.needs(() => (isUp() ? null : `no link to ds at ${settings.ds}`));
    const ops = await serveOps(program);
    const firstLink = async (): Promise<void> => {
      const late = new AbortController();
      const signal = AbortSignal.any([stopping, late.signal]);
      try {
        await Promise.race([server.whenAttached, delay(firstLinkMs, undefined, { signal })]);
      } finally {
        late.abort();
      }
    };
    const running = await startCs({
      settings,
      server,
      clock: clockOfLink(clock, server),
      logs,
      metrics,
      counters,
      beforeListening: firstLink,
    });
    cs = running;
    // A ds that comes later may refuse it as well.
    server.whenAttached.catch(fail);
    lifecycle.onStop('cs', () => running.stop());
    return { ...running.ports, ...ops };
  });
}
