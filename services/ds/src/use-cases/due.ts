import { endSession, type DisconnectPorts } from './disconnect.ts';
import type { DueStore, SessionStore } from '../session-store/session-store.ts';

export interface DuePorts extends DisconnectPorts {
  readonly sessionStore: SessionStore & DueStore;
}

const itemsMax = 500;

/** Sessions that have expired and wills whose time has come; from a timer. */
export async function workDue(ports: DuePorts): Promise<void> {
  for (;;) {
    const due = await ports.sessionStore.takeDue(itemsMax);
    const sending: Promise<unknown>[] = [];
    for (const one of due) {
      if (one.kind === 'expired') {
        await endSession(ports, one.session);
        ports.events.expired(one.session.clientId);
      } else sending.push(ports.wills.send(one));
    }
    await Promise.all(sending);
    if (due.length < itemsMax) return;
  }
}
