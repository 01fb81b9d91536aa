import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ReasonCode } from '@lmqtt/common/reason-code';
import {
  authPacket,
  connack,
  connackReturnCode,
  disconnectPacket,
  suback,
  unsuback,
} from '../src/codec/cold.ts';

// Compared byte by byte with packets put together here: mqtt-packet wrote them, so it is no oracle.

function hex(...bytes: readonly (number | string)[]): string {
  return Buffer.concat(
    bytes.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : Buffer.from([piece]))),
  ).toString('hex');
}

describe('cold packets', () => {
  test('CONNACK before 5.0', () => {
    const refusal = { sessionPresent: false, reasonCode: ReasonCode.notAuthorized };
    assert.equal(connack(refusal, 4).toString('hex'), hex(0x20, 2, 0, 5));
    assert.equal(connack(refusal, 0).toString('hex'), hex(0x20, 2, 0, 5));
    const accepted = { sessionPresent: true, reasonCode: 0, receiveMaximum: 5 };
    assert.equal(connack(accepted, 3).toString('hex'), hex(0x20, 2, 1, 0));
  });

  test('every reason code has a return code', () => {
    for (const reasonCode of Object.values(ReasonCode)) {
      const code = connackReturnCode(reasonCode);
      assert.ok(code >= 0 && code <= 5);
      assert.equal(code === 0, reasonCode === 0);
    }
  });

  test('CONNACK of 5.0 with nothing, and with everything', () => {
    const plain = { sessionPresent: true, reasonCode: 0 };
    assert.equal(connack(plain, 5).toString('hex'), hex(0x20, 3, 1, 0, 0));
    const whole = connack(
      {
        ...plain,
        sessionExpiryS: 0xffff_ffff,
        receiveMaximum: 10,
        maximumQos: 1,
        retainAvailable: false,
        maximumPacketSize: 0x0102_0304,
        assignedClientIdentifier: 'id',
        topicAliasMaximum: 3,
        wildcardSubscriptionAvailable: true,
        subscriptionIdentifiersAvailable: true,
        sharedSubscriptionAvailable: false,
        serverKeepAliveS: 77,
        responseInformation: 'ri',
        serverReference: 'sr',
        authenticationMethod: 'm',
        authenticationData: Buffer.from([9]),
        reasonString: 'rs',
        userProperties: [
          ['n', 'v'],
          ['n', 'w'],
        ],
      },
      5,
    ).toString('hex');
    for (const property of [
      hex(0x11, 0xff, 0xff, 0xff, 0xff),
      hex(0x21, 0, 10),
      hex(0x24, 1),
      hex(0x25, 0),
      hex(0x27, 1, 2, 3, 4),
      hex(0x12, 0, 2, 'id'),
      hex(0x22, 0, 3),
      hex(0x28, 1),
      hex(0x29, 1),
      hex(0x2a, 0),
      hex(0x13, 0, 77),
      hex(0x1a, 0, 2, 'ri'),
      hex(0x1c, 0, 2, 'sr'),
      hex(0x15, 0, 1, 'm'),
      hex(0x16, 0, 1, 9),
      hex(0x1f, 0, 2, 'rs'),
      hex(0x26, 0, 1, 'n', 0, 1, 'v', 0x26, 0, 1, 'n', 0, 1, 'w'),
    ]) {
      assert.ok(whole.includes(property), `${property} in ${whole}`);
    }
  });

  test('SUBACK and UNSUBACK', () => {
    const answers = { packetId: 258, reasonCodes: [0, 2, 0x87] };
    assert.equal(suback(answers, 4).toString('hex'), hex(0x90, 5, 1, 2, 0, 2, 0x80));
    assert.equal(suback(answers, 5).toString('hex'), hex(0x90, 6, 1, 2, 0, 0, 2, 0x87));
    assert.equal(
      unsuback({ packetId: 258, reasonCodes: [0] }, 4).toString('hex'),
      hex(0xb0, 2, 1, 2),
    );
    const two = { packetId: 1, reasonCodes: [0, 0x11] };
    assert.equal(unsuback(two, 5).toString('hex'), hex(0xb0, 5, 0, 1, 0, 0, 0x11));
  });

  test('DISCONNECT and AUTH', () => {
    const plain = disconnectPacket({ reasonCode: 0x8e });
    assert.equal(plain.toString('hex'), hex(0xe0, 2, 0x8e, 0));
    const reason = { reasonCode: 0x82, reasonString: 'why' };
    assert.equal(
      disconnectPacket(reason).toString('hex'),
      hex(0xe0, 8, 0x82, 6, 0x1f, 0, 3, 'why'),
    );
    const step = {
      reasonCode: 0x18,
      authenticationMethod: 'm',
      authenticationData: Buffer.from('d'),
    };
    assert.equal(
      authPacket(step).toString('hex'),
      hex(0xf0, 10, 0x18, 8, 0x15, 0, 1, 'm', 0x16, 0, 1, 'd'),
    );
  });

  test('explanations are left out where the client takes no packet as large', () => {
    const packet = {
      reasonCode: 0x82,
      reasonString: 'why',
      userProperties: [['n', 'v']] as const,
    };
    const whole = disconnectPacket(packet);
    assert.equal(whole.length, 17);
    assert.deepEqual(disconnectPacket(packet, 17), whole);
    assert.equal(
      disconnectPacket(packet, 16).toString('hex'),
      hex(0xe0, 8, 0x82, 6, 0x1f, 0, 3, 'why'),
    );
    assert.equal(disconnectPacket(packet, 9).toString('hex'), hex(0xe0, 2, 0x82, 0));
  });
});
