// Collections of garbage once a second, for a broker's process, loaded by `--import` with
// `--expose-gc`: V8 would put them off for as long as there is room, so that its metrics would say
// what has been, and not what is held.
const eachMs = 1000;
const { gc } = globalThis;

if (gc === undefined) throw new Error('--expose-gc is needed');
setInterval(() => gc(), eachMs).unref();
