import type { Logger } from '@lmqtt/common/log';
import type { PlainCounters } from '@lmqtt/common/metrics';
import { addressText } from './directory.ts';
import type { DsNode } from './directory.ts';
import { LinkEvents } from './link-events.ts';
import type { LinkCounters, LinkFigures } from './link-events.ts';

const moveReasons = ['gone', 'draining', 'unreachable'] as const;
/** Why a lane goes to another ds. */
export type MoveReason = (typeof moveReasons)[number];

export interface LaneFigures extends LinkFigures {
  readonly sessions: number;
}

/** Events of one lane. The lease is the node's: {@link ClusterEvents} tells of it. */
class LaneEvents extends LinkEvents {
  override watch(): void {}
  override leaseEnded(): void {}
  override leaseBegan(): void {}
}

/** Events of a node's links to all ds: as for one, and by lane. */
export class ClusterEvents extends LinkEvents {
  readonly #all: LinkCounters;
  readonly #moves: PlainCounters<MoveReason>;

  constructor(log: Logger, counters: LinkCounters) {
    super(log, counters);
    this.#all = counters;
    this.#moves = counters.metrics.counters(
      'lmqtt_link_lane_moves_total',
      'Lanes (attachments to one ds each) that moved to another ds with their sessions, by reason',
      'reason',
      moveReasons,
    );
  }

  lane(lane: string): LinkEvents {
    return new LaneEvents(this.log.child({ lane }), this.#all);
  }

  watchLanes(lanes: () => Iterable<readonly [string, LaneFigures]>): void {
    const gauges = (name: string, help: string, read: (figures: LaneFigures) => number): void =>
      this.#all.metrics.gauges(name, help, 'lane', function* () {
        for (const [lane, figures] of lanes()) yield [lane, read(figures)] as const;
      });
    gauges('lmqtt_link_up', '1 while calls reach ds, else 0, by lane', ({ up }) => (up ? 1 : 0));
    gauges(
      'lmqtt_link_sessions',
      'Sessions, by the lane (attachment to a ds) that serves them',
      ({ sessions }) => sessions,
    );
    gauges('lmqtt_link_waiting_bytes', 'Bytes that wait for a lane', (each) => each.waitingBytes);
    gauges(
      'lmqtt_link_unacknowledged_frames',
      'Frames sent to ds and not acknowledged yet',
      (each) => each.unacknowledgedFrames,
    );
    gauges(
      'lmqtt_link_unanswered_calls',
      'Calls and reads that ds has not answered, by lane',
      (each) => each.unansweredCalls,
    );
    gauges(
      'lmqtt_link_unanswered_publishes',
      'QoS 1 and 2 publishes that ds has not answered, by lane',
      (each) => each.unansweredPublishes,
    );
  }

  laneOpened(lane: string, to: DsNode): void {
    this.log.info({ lane, ds: to.id, address: addressText(to) }, 'a lane to ds is opened');
  }

  laneMoves(lane: string, from: DsNode, to: DsNode, reason: MoveReason, sessions: number): void {
    this.#moves[reason] += 1;
    this.log.warn(
      { lane, from: from.id, to: to.id, reason, sessions },
      'a lane goes to another ds with its sessions',
    );
  }

  laneClosed(lane: string, at: DsNode): void {
    this.log.info({ lane, ds: at.id }, 'a lane without sessions is closed');
  }
}
