import { randomUUID } from 'node:crypto';
import { addressGroup } from '@lmqtt/common/address-group';
import { clientId as asClientId, type QueueId } from '@lmqtt/common/ids';
import { messageOf, ownBytes } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { levelCount } from '@lmqtt/common/topic';
import { nextTurn } from '@lmqtt/common/pause';
import { LinkLost } from '@lmqtt/proto/link-lost';
import type { ConnectAnswer, ConnectRequest, Will } from '@lmqtt/proto/link';
import type { SubscriptionState } from '@lmqtt/proto/session-state';
import { tooManyOfAddress, tooManyOfUser } from '../../events.ts';
import { connack } from '../../codec/cold.ts';
import type { Connect, ConnectWill } from '../../packet/connect.ts';
import { Session } from '../../session/session.ts';
import type { Client } from '../client.ts';
import { isTooLong } from '../keep-alive.ts';
import { interned, mountIn, userIn } from '../principals.ts';
import { sendAuth } from './send-auth.ts';

const neverExpires = 0xffff_ffff;
/** Time between a claim that was lost with its link and the next one. */
const againMs = 100;

/**
 * CONNECT, 3.1: what the node can decide, then authentication and claim by ds, then CONNACK. No
 * other packet is handled before that.
 */
export function onConnect(connection: Client, packet: Connect): void {
  connection.begin(packet, askedSessionExpiryS(packet));
  const refusal = refusalOf(connection, packet);
  if (refusal !== undefined) {
    connection.refuse(refusal.reasonCode, refusal.reason, refusal);
    return;
  }
  const { node } = connection;
  // [MQTT-3.1.3-6]: an empty identifier is one that the server assigns.
  connection.assignedClientId = packet.clientId === '';
  const byRule =
    packet.clientId === '' && packet.userName !== undefined
      ? node.clientIdRule?.assigned(packet.userName)
      : undefined;
  connection.clientId = asClientId(packet.clientId || byRule || `lmqtt-${randomUUID()}`);
  const isRandom = packet.clientId === '' && byRule === undefined;
  connection.stopPackets();
  connection.await('answer');
  enter(connection, packet, isRandom);
}

function enter(connection: Client, packet: Connect, isRandom: boolean): void {
  const name = nameOf(connection, packet.userName);
  connection.node.entrance.enter(connection, name, () => claim(connection, packet, isRandom));
}

/** The name by which a client is told from others at its address, as the client claims it. */
function nameOf({ clientId }: Client, userName: string | undefined): string {
  return userName === undefined ? `client ${clientId}` : `user ${userName}`;
}

/** The turn of the CONNECT has come: ds is asked for the session. */
function claim(connection: Client, packet: Connect, isRandom: boolean): void {
  const { node } = connection;
  const farewell = node.farewell();
  if (farewell !== undefined) {
    connection.refuse(farewell.reasonCode, farewell.reason, farewell);
    return;
  }
  if (node.connections.sessionCount >= node.config.maxConnections) {
    node.events.limit('MAX_CONNECTIONS');
    connection.refuse(ReasonCode.quotaExceeded, 'too many connections');
    return;
  }
  const { ofAddresses } = node.connections;
  if (ofAddresses?.admits(addressGroup(connection.stream.peer.address), connection) === false) {
    node.events.limit('MAX_CONNECTIONS_PER_ADDRESS');
    connection.refuse(ReasonCode.quotaExceeded, tooManyOfAddress);
    return;
  }
  if (refusesAtPlace(connection)) return;
  node.turn.flush();
  connection.atDs = true;
  connection.watchedFrom = node.feeds.unread.watch();
  node.link
    .connect(requestOf(connection, packet, isRandom))
    .then((answer) => connectAnswered(connection, answer))
    .catch((error: unknown) => {
      const goesOn = error instanceof LinkLost && connection.kickedEarly === undefined;
      if (goesOn) claimLost(connection, packet, isRandom);
      else connection.broken(error);
    });
}

/**
 * Refuses where sessions have all connections of the listener. Clients whose CONNECT is under way
 * do not count, so that strangers take nobody's place; of several that are let in at one time those
 * that come too late are refused after ds has accepted them, and the session that ds has claimed is
 * given back.
 */
function refusesAtPlace(connection: Client, answer?: Accepted): boolean {
  const { node, place } = connection;
  if (place === undefined || place.open < place.connectionsMax) return false;
  node.events.limit('MAX_CONNECTIONS');
  const sessionExpiryS = answer && expiryGivenBack(answer);
  const reason = `too many connections to ${place.name}`;
  connection.refuse(ReasonCode.quotaExceeded, reason, { sessionExpiryS });
  return true;
}

/**
 * No ds has answered within the lease: the client waits for the next one, as if it had just come.
 */
function claimLost(connection: Client, packet: Connect, isRandom: boolean): void {
  if (connection.ended) return;
  const { node } = connection;
  connection.atDs = false;
  node.entrance.left(connection);
  connection.renumber();
  node.events.claimLost();
  setTimeout(() => {
    if (!connection.ended) enter(connection, packet, isRandom);
  }, againMs);
}

interface Refusal {
  readonly reasonCode: ReasonCode;
  readonly reason: string;
  readonly serverReference?: string | undefined;
}

function refusalOf(connection: Client, packet: Connect): Refusal | undefined {
  const { node } = connection;
  const farewell = node.farewell();
  if (farewell !== undefined) return farewell;
  if (connection.tooFast) {
    node.events.limit('MAX_CONNECTION_RATE');
    return {
      reasonCode: ReasonCode.connectionRateExceeded,
      reason: 'too many connections a second',
    };
  }
  // [MQTT-3.1.3-8] of 3.1.1: an identifier is assigned only to a clean session.
  if (packet.clientId === '' && (packet.protocolVersion === 3 || !cleanEnough(packet))) {
    return { reasonCode: ReasonCode.clientIdentifierNotValid, reason: 'empty client identifier' };
  }
  if (packet.will !== undefined && levelCount(packet.will.topic) > node.config.maxTopicLevels) {
    node.events.limit('MAX_TOPIC_LEVELS');
    return { reasonCode: ReasonCode.topicNameInvalid, reason: 'will topic with too many levels' };
  }
  // 3.1.1 has no way to tell another keep alive, and no return code of its own for it.
  if (isTooLong(packet.keepAliveS, node.config.keepAliveSMax)) {
    node.events.limit('KEEP_ALIVE_S_MAX');
    if (packet.protocolVersion !== 5 && node.config.keepAliveStrict)
      return { reasonCode: ReasonCode.clientIdentifierNotValid, reason: 'keep alive too long' };
  }
  return undefined;
}

function cleanEnough(packet: Connect): boolean {
  return packet.protocolVersion === 5 || packet.cleanStart;
}

function requestOf(connection: Client, packet: Connect, randomClientId: boolean): ConnectRequest {
  const { stream } = connection;
  return {
    session: connection.handle,
    protocolVersion: packet.protocolVersion,
    clientId: connection.clientId,
    randomClientId,
    cleanStart: packet.cleanStart,
    sessionExpiryS: connection.askedSessionExpiryS,
    keepAliveS: connection.keepAliveS,
    userName: packet.userName,
    password: packet.password,
    authenticationMethod: packet.authenticationMethod,
    authenticationData: packet.authenticationData,
    will: packet.will === undefined ? undefined : willOf(connection, packet.will),
    peer: stream.peer,
  };
}

function willOf(connection: Client, will: ConnectWill): Will {
  const { topic, qos, retain, messageExpiryS } = will;
  const payload = ownBytes(will.payload);
  const properties = will.properties && ownBytes(will.properties);
  const publisher = connection.clientId;
  const delayS = Math.min(will.delayS, connection.node.config.willDelaySMax);
  if (delayS < will.delayS) connection.node.events.limit('WILL_DELAY_S_MAX');
  return {
    message: messageOf({ topic, qos, retain, payload, properties, publisher }),
    delayS,
    messageExpiryS,
  };
}

/** Session expiry as asked for, in the words of 5.0. */
function askedSessionExpiryS(packet: Connect): number {
  if (packet.protocolVersion === 5) return packet.sessionExpiryS ?? 0;
  return packet.cleanStart ? 0 : neverExpires;
}

type Accepted = Extract<ConnectAnswer, { kind: 'accepted' }>;

/** The answer of ds, to CONNECT or to a step of its authentication. */
export function connectAnswered(
  connection: Client,
  answer: ConnectAnswer,
): Promise<void> | undefined {
  const isAccepted = answer.kind === 'accepted' && !connection.ended;
  // ds is told by the end of the connection.
  if (isAccepted && (refusesAtPlace(connection, answer) || isOneTooMany(connection, answer)))
    return undefined;
  if (isAccepted && answer.subscriptionsLeft > 0) return acceptInPortions(connection, answer);
  connection.atDs = answer.kind === 'continue';
  connection.node.entrance.left(connection, answer.kind === 'accepted');
  if (answer.kind === 'refused') {
    connection.refuse(answer.reasonCode, answer.reason);
    return undefined;
  }
  if (connection.ended) {
    // The client went away meanwhile; ds must not believe that it is here, nor wait for it.
    connection.disown();
    return undefined;
  }
  if (answer.kind === 'continue') {
    connection.await('auth');
    sendAuth(connection, ReasonCode.continueAuthentication, answer.authenticationData);
    connection.resumePackets();
    return undefined;
  }
  const session = sessionOf(connection, answer);
  const isAtEnd = endsOf(connection, answer);
  accept(connection, answer, session, () => take(session, answer.state.subscriptions, isAtEnd));
  return undefined;
}

/** The user has as many connections as it may: the session that ds has claimed is given back. */
function isOneTooMany(connection: Client, answer: Accepted): boolean {
  const { node } = connection;
  const { ofUsers } = node.connections;
  if (ofUsers === undefined || ofUsers.admits(userIn(answer.principal), connection)) return false;
  node.events.limit('MAX_CONNECTIONS_PER_USER');
  const sessionExpiryS = expiryGivenBack(answer);
  connection.refuse(ReasonCode.quotaExceeded, tooManyOfUser, { sessionExpiryS });
  return true;
}

/** A session that was there before the client came stays; undefined: as long as it was granted. */
function expiryGivenBack({ sessionPresent }: Accepted): 0 | undefined {
  return sessionPresent ? undefined : 0;
}

/**
 * A session of many subscriptions is made over some turns, before CONNACK. Where its ds is lost
 * meanwhile the claim comes to nothing, as it does before its answer.
 */
async function acceptInPortions(connection: Client, answer: Accepted): Promise<void> {
  const { node } = connection;
  const session = sessionOf(connection, answer);
  session.prepare();
  session.allow(node.rightsTable.of(answer.rights));
  const retained: (() => void)[] = [];
  const missing = answer.state.subscriptions.length + answer.subscriptionsLeft;
  let portion = answer.state.subscriptions;
  try {
    while (portion.length > 0 && !connection.ended) {
      retained.push(take(session, portion));
      await nextTurn();
      // The last question finds nothing more, but that the session is still there.
      portion = await node.link.subscriptionsOf(connection.handle, session.subscriptions.size);
    }
    if (!connection.ended && session.subscriptions.size < missing)
      throw new Error('ds does not have all subscriptions of a session');
  } catch (error) {
    session.end();
    throw error;
  }
  // ds was told of a connection that has ended meanwhile.
  if (connection.ended) {
    session.end();
    return;
  }
  connection.atDs = false;
  node.entrance.left(connection, true);
  accept(connection, answer, session, () => () => {
    for (const each of retained) each();
  });
  session.begin();
}

function sessionOf(connection: Client, answer: Accepted): Session {
  const { handle, clientId, receiveMaximum, node, outbox } = connection;
  connection.mount = mountIn(answer.principal);
  return new Session(
    {
      handle,
      clientId,
      epoch: answer.epoch,
      persistent: answer.sessionExpiryS > 0,
      windowSize: Math.min(receiveMaximum, node.config.maxInflight),
      mount: connection.mount,
    },
    node,
    outbox,
  );
}

/**
 * Which subscriptions need no first read: those of a session that is new begin at the ends of their
 * queues, and nothing was pushed for them before they were known here.
 */
function endsOf(connection: Client, { sessionPresent }: Accepted): (queue: QueueId) => boolean {
  const { node, connectPacket, watchedFrom } = connection;
  if (sessionPresent || connectPacket?.cleanStart !== true) return no;
  return (queue) => !node.feeds.unread.has(queue, watchedFrom);
}

const no = (): boolean => false;

/** Takes over subscriptions; the answer begins the retained messages that they are still owed. */
function take(
  session: Session,
  states: readonly SubscriptionState[],
  isAtEnd: (queue: QueueId) => boolean = no,
): () => void {
  const subscriptions = states.map((each) => session.subscribe(each, [], isAtEnd(each.queue)));
  return () => {
    for (const [index, { retainedAfter }] of states.entries()) {
      if (retainedAfter !== undefined) session.sendRetained(subscriptions[index]!, retainedAfter);
    }
  };
}

/** CONNACK, then state: positions, what was in flight, retained messages still owed. */
function accept(
  connection: Client,
  answer: Accepted,
  session: Session,
  subscribe: () => () => void,
): void {
  const { node } = connection;
  connection.principal = interned(answer.principal);
  connection.sessionExpiryS = answer.sessionExpiryS;
  const packetBytesMax = Math.min(node.config.maxPacketSize, answer.packetBytesMax ?? Infinity);
  connection.limitPackets(packetBytesMax);
  // `open` lets go of the CONNECT that the answer is made from.
  const packet = connackOf(connection, answer, packetBytesMax);
  connection.open(session);
  if (answer.sessionExpiryS < connection.askedSessionExpiryS && connection.version === 5) {
    node.events.limit('SESSION_EXPIRY_S_MAX');
  }
  connection.sendPacket('connack', packet);
  const { rightsEarly } = connection;
  const rights = node.rightsTable.of(rightsEarly === undefined ? answer.rights : rightsEarly.text);
  if (session.rights !== rights) session.allow(rights);
  connection.inbound.restore(answer.state.inbound);
  const sendRetained = subscribe();
  session.redeliver(answer.state.outbound);
  sendRetained();
  node.events.connected(connection, answer.sessionPresent);
  if (connection.kickedEarly !== undefined) {
    connection.kick(connection.kickedEarly);
    return;
  }
  connection.resumePackets();
  connection.resumeReading();
}

function connackOf(connection: Client, answer: Accepted, packetBytesMax: number): Buffer {
  const { node, version, connectPacket: connect } = connection;
  const { config } = node;
  if (version !== 5 || connect === undefined) {
    // 3.1 has no such flag: the byte is reserved there.
    const sessionPresent = version !== 3 && answer.sessionPresent;
    return connack({ sessionPresent, reasonCode: ReasonCode.success }, version, undefined);
  }
  const { keepAliveS } = connection;
  const wantsResponses = connect.requestResponseInformation && config.responseInformation !== '';
  return connack(
    {
      sessionPresent: answer.sessionPresent,
      reasonCode: ReasonCode.success,
      sessionExpiryS:
        answer.sessionExpiryS === connection.askedSessionExpiryS
          ? undefined
          : answer.sessionExpiryS,
      receiveMaximum: config.receiveMaximum === 0xffff ? undefined : config.receiveMaximum,
      maximumPacketSize: packetBytesMax,
      // [MQTT-3.2.2-16]
      assignedClientIdentifier: connection.assignedClientId ? connection.clientId : undefined,
      topicAliasMaximum: config.topicAliasMaximum === 0 ? undefined : config.topicAliasMaximum,
      // [MQTT-3.1.2-21]
      serverKeepAliveS: keepAliveS === connect.keepAliveS ? undefined : keepAliveS,
      responseInformation: wantsResponses ? config.responseInformation : undefined,
      authenticationMethod: connect.authenticationMethod,
      authenticationData: answer.authenticationData,
    },
    version,
    connection.maximumPacketSize,
  );
}
