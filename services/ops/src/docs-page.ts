// The page that shows the description of the REST interface. It has no outside resource, and its
// one script and style are known to the browser by their hashes.
import { createHash } from 'node:crypto';

const style = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 13px/1.5 ui-monospace, monospace }
pre { overflow: auto; padding: .5rem; border: 1px solid #8886 }
summary { cursor: pointer; padding: .3rem 0 }
summary b { display: inline-block; width: 4.5rem }
td { padding: 0 1rem 0 0; vertical-align: top }
`;

const script = `
const add = (parent, tag, text) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
};
const typeOf = (schema) =>
  schema?.enum?.join(' | ') ?? [schema?.type ?? 'any'].flat().join(' | ');
const show = (root, api) => {
  add(root, 'h1', api.info.title + ' ' + api.info.version);
  add(root, 'p', api.info.description);
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const details = add(root, 'details');
      const summary = add(details, 'summary');
      add(summary, 'b', method.toUpperCase());
      add(summary, 'code', path);
      summary.append(' ' + (route.summary ?? ''));
      if (route.description) add(details, 'p', route.description);
      const table = add(details, 'table');
      for (const each of route.parameters ?? []) {
        const row = add(table, 'tr');
        add(add(row, 'td'), 'code', each.name);
        add(row, 'td', each.in + (each.required ? ', required' : ''));
        add(row, 'td', typeOf(each.schema));
        add(row, 'td', each.description ?? each.schema?.description ?? '');
      }
      const body = route.requestBody?.content?.['application/json']?.schema;
      if (body) {
        add(details, 'h4', 'Body');
        add(details, 'pre', JSON.stringify(body, null, 2));
      }
      for (const [status, answer] of Object.entries(route.responses ?? {})) {
        add(details, 'h4', status + ' ' + (answer.description ?? ''));
        const schema = Object.values(answer.content ?? {})[0]?.schema;
        if (schema) add(details, 'pre', JSON.stringify(schema, null, 2));
      }
    }
  }
};
fetch('openapi.json').then((answer) => answer.json()).then(
  (api) => show(document.querySelector('main'), api),
  (error) => add(document.querySelector('main'), 'p', String(error)),
);
`;

const hash = (content: string): string =>
  `'sha256-${createHash('sha256').update(content).digest('base64')}'`;

export const docsPage: string = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>lmqtt REST</title>
<style>${style}</style>
<main></main>
<script>${script}</script>
</html>
`;

export const docsHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "connect-src 'self'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'content-type': 'text/html; charset=utf-8',
  'x-content-type-options': 'nosniff',
};
