// The registry's scripts, each behind the parts that it shares with others (`scripts/*.lua`).
import { composedScript, type Script } from '../../redis/script.ts';

const log = 'log';
const nodes = 'nodes';
const ownPlaces = 'own-places';

function made(name: string, ...parts: string[]): Script {
  return composedScript(import.meta.dirname, name, ['prelude', ...parts]);
}

type Name =
  | 'begin'
  | 'join'
  | 'renew'
  | 'leave'
  | 'drain'
  | 'takeEnded'
  | 'list'
  | 'change'
  | 'follow'
  | 'report'
  | 'restored'
  | 'alive'
  | 'forget'
  | 'sweep'
  | 'delete'
  | 'swept'
  | 'acquire'
  | 'giveUp'
  | 'save'
  | 'send'
  | 'remember'
  | 'claim'
  | 'restoreClaims';

export const scripts: Readonly<Record<Name, Script>> = {
  begin: made('begin', log),
  join: made('join', nodes),
  renew: made('renew', nodes),
  leave: made('leave', nodes),
  drain: made('drain'),
  takeEnded: made('take-ended'),
  list: made('list'),
  change: made('change', log, ownPlaces),
  follow: made('follow'),
  report: made('report'),
  restored: made('restored'),
  alive: made('alive'),
  forget: made('forget', log),
  sweep: made('sweep', log, ownPlaces),
  delete: made('delete'),
  swept: made('swept'),
  acquire: made('acquire'),
  giveUp: made('give-up'),
  save: made('save'),
  send: made('send'),
  remember: made('remember'),
  claim: made('claim'),
  restoreClaims: made('restore-claims'),
};
