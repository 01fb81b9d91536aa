import { loadScript, type Script } from '../../redis/script.ts';

function load(name: string): Script {
  return loadScript(import.meta.dirname, name);
}

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

/** One file each beside this one; its head tells what goes in and comes out. */
export const scripts: SessionScripts = {
  claim: load('claim'),
  present: load('present'),
  write: load('write'),
  release: load('release'),
  remove: load('remove'),
  undoClaim: load('undo-claim'),
  endConnection: load('end-connection'),
  note: load('note'),
  unnote: load('unnote'),
  takeDue: load('take-due'),
  dueSession: load('due-session'),
  settleDue: load('settle-due'),
  takeWills: load('take-wills'),
  will: load('will'),
  count: load('count'),
};
