// A module for META_MODULE that keeps retained messages in a folder, a file each, and reads first
// topics and filters from a list, as MetaPersistManagerSample of the Java project does from its
// name server:
//
//   META_FOLDER=./meta npm start -- --meta-module examples/meta-module.mjs
//
// meta/seeds.json, of use on RocketMQ alone, need not be there:
//
//   {"firstTopics": {"home": ["home/+/state", "home/#"]}, "connectNodes": []}
//
// Another broker that starts with the folder has the messages, whatever became of the first.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

const { META_FOLDER: folder = './meta' } = process.env;
const retained = join(folder, 'retained');
const suffix = '.json';

/** Topics may be longer than names of files. */
const fileOf = (topic) => join(retained, createHash('sha256').update(topic).digest('hex') + suffix);

async function readIfThere(path) {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What is acknowledged is on the disk. */
async function writeWhole(path, text) {
  const fresh = `${path}.${randomUUID()}`;
  const file = await open(fresh, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  const directory = await open(retained);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const base64 = (bytes) => Buffer.from(bytes).toString('base64');

function textOf(record) {
  const { payload, properties = {} } = record;
  const { correlationData } = properties;
  return JSON.stringify({
    ...record,
    payload: base64(payload),
    properties: {
      ...properties,
      ...(correlationData && { correlationData: base64(correlationData) }),
    },
  });
}

function recordIn(text) {
  const { payload, properties, ...record } = JSON.parse(text);
  const { correlationData } = properties;
  return {
    ...record,
    payload: Buffer.from(payload, 'base64'),
    properties: {
      ...properties,
      ...(correlationData && { correlationData: Buffer.from(correlationData, 'base64') }),
    },
  };
}

// oxlint-disable-next-line import/no-default-export -- it is what META_MODULE loads
export default async function metaModule() {
  await mkdir(retained, { recursive: true });
  const seeds = async () =>
    JSON.parse((await readIfThere(join(folder, 'seeds.json'))) ?? '{"firstTopics": {}}');
  return {
    firstTopics: async () => Object.keys((await seeds()).firstTopics),
    wildcards: async (topic) => (await seeds()).firstTopics[topic] ?? [],
    connectNodes: async () => (await seeds()).connectNodes ?? [],

    async *listRetained() {
      for (const name of await readdir(retained)) {
        // Others were being written when their broker died.
        if (name.endsWith(suffix)) yield recordIn(await readFile(join(retained, name), 'utf8'));
      }
    },
    putRetained: (record) => writeWhole(fileOf(record.topic), textOf(record)),
    deleteRetained: (topic) => rm(fileOf(topic), { force: true }),
  };
}
