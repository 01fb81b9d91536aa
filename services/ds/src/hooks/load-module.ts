// Modules of the operator's own: a file whose default export is an object of functions, or a
// function that makes one, which may be asynchronous.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Rejects where it cannot be loaded, or where one of the names stands for no function. */
export async function loadModule(path: string, names: readonly string[]): Promise<object> {
  const loaded = (await import(pathToFileURL(resolve(path)).href)) as { default?: unknown };
  const made: unknown =
    typeof loaded.default === 'function'
      ? await (loaded.default as () => unknown)()
      : loaded.default;
  if (typeof made !== 'object' || made === null)
    throw new Error('its default export is neither an object nor a function that makes one');
  const functions = made as Record<string, unknown>;
  for (const name of names)
    if (functions[name] !== undefined && typeof functions[name] !== 'function')
      throw new Error(`${name} is no function`);
  return made;
}

/** The functions of these names, each of which may speak of the others by `this`. */
export function boundTo<Functions extends object>(
  functions: Functions,
  names: readonly (keyof Functions)[],
): Functions {
  return Object.fromEntries(
    names.flatMap((name) => {
      const one: unknown = functions[name];
      return typeof one === 'function' ? [[name, one.bind(functions) as () => unknown]] : [];
    }),
  ) as Functions;
}
