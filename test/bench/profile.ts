// Reads what `node --cpu-prof` wrote and names the functions in which the time was spent.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const topCount = 25;

function nameOf({ callFrame }: ProfileNode): string {
  const name = callFrame.functionName || '(anonymous)';
  if (callFrame.url === '') return name;
  return `${name} ${basename(callFrame.url)}:${callFrame.lineNumber + 1}`;
}

/** Lines of "share of the busy time, function", the largest first. */
function topSelfTimes(profile: Profile, fromMs: number): string[] {
  const nameById = new Map(profile.nodes.map((node) => [node.id, nameOf(node)]));
  const usByName = new Map<string, number>();
  let totalUs = 0;
  let restUs = fromMs * 1000;
  for (const [index, id] of profile.samples.entries()) {
    const name = nameById.get(id) ?? '?';
    const us = profile.timeDeltas[index] ?? 0;
    restUs -= us;
    if (restUs > 0 || name === '(idle)') continue;
    usByName.set(name, (usByName.get(name) ?? 0) + us);
    totalUs += us;
  }
  return [...usByName]
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, topCount)
    .map(([name, us]) => `  ${((100 * us) / totalUs).toFixed(1).padStart(5)} %  ${name}`);
}

/** Leaves out the first `fromMs` of each profile, the broker's start. */
export function profileText(dir: string, fromMs: number): string {
  const files = readdirSync(dir).filter((file) => file.endsWith('.cpuprofile'));
  const parts = files.map((file) => {
    const path = join(dir, file);
    const profile = JSON.parse(readFileSync(path, 'utf8')) as Profile;
    return [`profile: ${path}`, ...topSelfTimes(profile, fromMs)].join('\n');
  });
  return parts.length === 0 ? `no profile was written to ${dir}` : parts.join('\n');
}
