// Bans for operators.
import type { DsService } from '@lmqtt/ds/service';
import type { BansSource } from '@lmqtt/ops/ops-source';

export function bansSource(bans: DsService['bans']): BansSource {
  return {
    list: (after, limit, kind) => bans.page(after, limit, kind),
    async put(wanted) {
      const outcome = await bans.put(wanted);
      return outcome.kind === 'put' ? outcome.ban : outcome.kind;
    },
    remove: (kind, who) => bans.remove(kind, who),
  };
}
