// The view of this process for operators, and its log level.
import { type Logs, setLogLevel } from '@lmqtt/common/log';
import { settingOrigins, type Sources } from '@lmqtt/common/settings/read';
import { camelCase, type ProgramName, rows, type Settings } from '@lmqtt/common/settings/row';
import type { ConfigLine, LocalSource } from '@lmqtt/ops/ops-source';

const hidden = '[hidden]';

function shown(kind: string, value: unknown): ConfigLine['value'] {
  if (value === null || value === undefined) return null;
  if (kind === 'secret') return hidden;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // User and password in an address.
  return text.replaceAll(/\/\/[^@/\s]*@/g, `//${hidden}@`);
}

export function localSource(
  name: ProgramName,
  settings: Settings,
  logs: Logs,
  sources: Sources | undefined,
): LocalSource {
  const origins = sources === undefined ? undefined : settingOrigins(sources);
  const values: Readonly<Record<string, unknown>> = { ...settings };
  const config = rows
    .filter((row) => name === 'standalone' || row.roles.includes(name))
    .map((row): ConfigLine => {
      const origin = origins?.get(row.name);
      const value = shown(row.kind, values[camelCase(row.name)]);
      return {
        name: row.name,
        value,
        from: origin?.from ?? 'default',
        source: origin?.source ?? '',
      };
    });
  return {
    nodeId: settings.nodeId,
    config: () =>
      config.map((line) => (line.name === 'LOG_LEVEL' ? { ...line, value: logs.ops.level } : line)),
    logLevel: () => logs.ops.level,
    setLogLevel: (level) => setLogLevel(logs, level),
  };
}
