// Lines of a started program on stdout: one line for programs, then where clients can come two to
// try for people. A program that listens and waits for another one says that first.
import type { Settings } from '@lmqtt/common/settings/row';

import type { Ports } from './program.ts';

const order: readonly string[] = ['rpc', 'mqtt', 'ws', 'mqtts', 'wss', 'ops'];

/** As it stands in an address: IPv6 in brackets. */
function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Address by which a client on this machine reaches a listener. */
function reachable(bind: string): string {
  if (bind === '0.0.0.0') return '127.0.0.1';
  return bind === '::' ? '::1' : bind;
}

type Binds = Pick<Settings, 'bind' | 'listeners' | 'opsBind' | 'rpcBind'>;

function listenersOf(settings: Binds, ports: Ports): string {
  const bindOf = (name: string): string => {
    if (name === 'rpc') return settings.rpcBind;
    if (name === 'ops') return settings.opsBind;
    return settings.listeners.find((one) => one.name === name)?.bind ?? settings.bind;
  };
  const others = Object.keys(ports).filter((name) => !order.includes(name));
  const listeners = [...order, ...others].flatMap((name) => {
    const port = ports[name];
    return port === undefined ? [] : [`${name}=${bracketed(bindOf(name))}:${port}`];
  });
  return listeners.join(' ');
}

/** The line of a program that listens and cannot serve yet. */
export function listeningLine(settings: Binds, ports: Ports): string {
  return `listening ${listenersOf(settings, ports)}\n`;
}

export function announcement(settings: Binds, ports: Ports): string {
  const lines = [`ready ${listenersOf(settings, ports)}`];
  if (ports.mqtt !== undefined) {
    const { bind } = settings.listeners.find((one) => one.name === 'mqtt') ?? settings;
    const at = `-h ${reachable(bind)} -p ${ports.mqtt}`;
    const subscribe = `sub ${at} -t 'hello/#' -q 1 -v`;
    const publish = `pub ${at} -t hello/world -q 1 -m hi`;
    lines.push(`subscribe: mosquitto_${subscribe}   or: npx mqtt ${subscribe}`);
    lines.push(`publish:   mosquitto_${publish}   or: npx mqtt ${publish}`);
  }
  return `${lines.join('\n')}\n`;
}
