// A process that opens the state of a folder and reads all of it: may crash in place of a broker.
import { plainName, tablePrefix } from './state-file/state-report.ts';
import { CheckpointState } from './state.ts';

const [directory = '', ...tables] = process.argv.slice(2);
const plain = tables.filter((name) => name.startsWith(tablePrefix.plain)).map(plainName);
const state = new CheckpointState(directory, plain);
for (const table of new Set(tables.map(plainName))) state.load(table, () => undefined);
await state.close();
