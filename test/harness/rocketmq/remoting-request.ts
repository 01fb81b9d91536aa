// One request of RocketMQ's remoting protocol on a connection of its own, for a look from outside
// the client under test. Frame: u32 length of the rest, u8 0 (header in JSON), u24 header length,
// header, body.
import { once } from 'node:events';
import { connect } from 'node:net';

/** `code` 0: success. */
export interface RemotingAnswer {
  readonly code: number;
  readonly remark: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

const headBytes = 8;
const version = 401;
const timeoutMs = 5000;

export async function remotingRequest(
  port: number,
  code: number,
  extFields: Readonly<Record<string, string>> = {},
  body: string | Buffer = '',
): Promise<RemotingAnswer> {
  const header = Buffer.from(
    JSON.stringify({ code, language: 'OTHER', version, opaque: 1, flag: 0, extFields }),
  );
  const payload = typeof body === 'string' ? Buffer.from(body) : body;
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(4 + header.length + payload.length, 0);
  head.writeUInt32BE(header.length, 4);

  const socket = connect({ port, host: '127.0.0.1', timeout: timeoutMs });
  socket.once('timeout', () => socket.destroy(new Error(`no answer to request ${code}`)));
  try {
    await once(socket, 'connect');
    socket.write(Buffer.concat([head, header, payload]));
    let read: Buffer = Buffer.alloc(0);
    for await (const chunk of socket) {
      read = Buffer.concat([read, chunk as Buffer]);
      if (read.length >= 4 && read.length >= 4 + read.readUInt32BE(0)) break;
    }
    if (read.length < headBytes) throw new Error(`closed before the answer to request ${code}`);
    const bodyAt = headBytes + (read.readUInt32BE(4) & 0xff_ff_ff);
    const said = JSON.parse(read.toString('utf8', headBytes, bodyAt)) as {
      readonly code: number;
      readonly remark?: string;
      readonly extFields?: Record<string, string>;
    };
    return {
      code: said.code,
      remark: said.remark ?? '',
      fields: said.extFields ?? {},
      body: read.toString('utf8', bodyAt, 4 + read.readUInt32BE(0)),
    };
  } finally {
    socket.destroy();
  }
}
