// Which shape the tests run against: one process, or a ds with two cs.
import type { Broker, BrokerOptions } from './broker.ts';
import { SplitBroker } from './split-broker.ts';
import { StandaloneBroker } from './standalone-broker.ts';

/** ds and cs apart, instead of one process. */
export const isSplit: boolean = process.env['LMQTT_TEST_SHAPE'] === 'split';

/** Options of a test that only a broker of one process can pass, and why. */
export function standaloneOnly(reason: string): { skip: string | false } {
  return { skip: isSplit ? `one process only: ${reason}` : false };
}

function brokerOf(options: BrokerOptions, external: string | undefined): Broker {
  if (external === undefined && isSplit) return new SplitBroker(options);
  return new StandaloneBroker(options, external);
}

/**
 * A running broker. With LMQTT_TEST_SHAPE=split in the environment it is a ds and two cs. With
 * LMQTT_TEST_BROKER=host:port[,ws=host:port] it is that one instead, settings and all; what needs
 * restart or metrics fails there.
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const external = process.env['LMQTT_TEST_BROKER'];
  const broker = brokerOf(options, external);
  try {
    if (external === undefined) await broker.start();
  } catch (error) {
    await broker.stop();
    throw error;
  }
  return broker;
}
