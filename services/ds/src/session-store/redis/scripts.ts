import { composedScript, type Script } from '../../redis/script.ts';

function load(name: string, ...parts: string[]): Script {
  return composedScript(import.meta.dirname, name, parts);
}

const now = 'now';
const wills = 'wills';

interface SessionScripts {
  readonly claim: Script;
  readonly present: Script;
  readonly write: Script;
  readonly release: Script;
  readonly remove: Script;
  readonly undoClaim: Script;
  readonly endConnection: Script;
  readonly note: Script;
  readonly unnote: Script;
  readonly takeDue: Script;
  readonly dueSession: Script;
  readonly settleDue: Script;
  readonly takeWills: Script;
  readonly will: Script;
  readonly count: Script;
}

/**
 * A file each in `scripts/`, whose head tells what goes in and comes out, behind the parts that it
 * shares with others.
 */
export const scripts: SessionScripts = {
  claim: load('claim', now, wills),
  present: load('present', now, wills),
  write: load('write'),
  release: load('release', now, wills),
  remove: load('remove', now, wills),
  undoClaim: load('undo-claim', now, wills),
  endConnection: load('end-connection', now, wills),
  note: load('note', now),
  unnote: load('unnote'),
  takeDue: load('take-due', now),
  dueSession: load('due-session', now),
  settleDue: load('settle-due'),
  takeWills: load('take-wills', now),
  will: load('will', now, wills),
  count: load('count'),
};
