import type { GroupId, NodeId } from '@lmqtt/common/ids';
import type { GroupOwners } from './group-owners.ts';
import type { KnownGroups } from './known-groups.ts';
import type { MemberReports } from './member-reports.ts';
import { type GroupItem, messageOfText } from './messages.ts';
import type { OwnedGroup } from './owned-group.ts';

interface GroupArrivalsPorts {
  readonly self: NodeId;
  readonly known: KnownGroups;
  readonly reports: MemberReports;
  readonly owners: GroupOwners;
  /** Sends what the turn has for cs nodes. */
  flush(): void;
}

/**
 * Items of shared groups that come from ds nodes, this one included: those for an owner go to the
 * groups that this ds owns, those of an owner to what is known of groups here.
 */
export class GroupArrivals {
  readonly #ports: GroupArrivalsPorts;
  /** Groups that got an item in this turn. */
  readonly #touched = new Set<OwnedGroup>();

  constructor(ports: GroupArrivalsPorts) {
    this.#ports = ports;
  }

  beginning(from: NodeId): void {
    for (const owned of this.#ports.owners.owned) owned.beginning(from);
  }

  begun(from: NodeId): void {
    for (const owned of this.#ports.owners.owned) owned.begun(from);
  }

  take(from: NodeId, item: GroupItem): void {
    const { known, owners, self } = this.#ports;
    const owned = item.kind === 'owns' ? undefined : owners.get(item.group);
    if (owned !== undefined) this.#touched.add(owned);
    switch (item.kind) {
      case 'owner':
        this.#heardOwner(from, item);
        return;
      case 'owns':
        this.#heardOwned(from, new Set(item.groups));
        return;
      case 'message':
        owned?.give(messageOfText(item.message));
        return;
      case 'arrived':
        owned?.look(item.partition);
        return;
      case 'gone':
        if (owned !== undefined) owned.close(true);
        else known.forget(item.group);
        return;
      default:
        if (owned !== undefined) owned.take(from, item);
        // Whoever thinks that this ds owns it asks the registry again.
        else if (item.kind === 'join' && from !== self) owners.nameTo(from);
    }
  }

  /** All items of a turn were taken. */
  taken(): void {
    for (const owned of this.#touched) {
      if (owned.isGiving) owned.pump();
      else owned.tick();
    }
    this.#touched.clear();
    this.#ports.flush();
  }

  #heardOwner(from: NodeId, item: GroupItem & { readonly kind: 'owner' }): void {
    const { known, owners, reports } = this.#ports;
    const home = known.meet(item.group, item.name, item.queue);
    known.heard(home.id);
    if (item.ownerEpoch < home.ownerEpoch) return;
    owners.set(home, from, item.ownerEpoch);
    reports.hereDue(home, from, item.ownerEpoch);
  }

  /** Other groups of which it was thought to be the owner are not its own. */
  #heardOwned(from: NodeId, groups: ReadonlySet<GroupId>): void {
    const { known, owners } = this.#ports;
    for (const home of known.homes) {
      if (home.owner !== from) continue;
      if (groups.has(home.id)) known.heard(home.id);
      else if (home.members.size > 0 || home.pins > 0) owners.lost(home);
      else known.forget(home.id);
    }
  }
}
