// A module for AUTH_MODULE that tells an HTTP service of clients that come and go.
//
//   WEBHOOK_URL=http://127.0.0.1:8080/mqtt npm start -- --auth-module examples/webhook.mjs --allow-anonymous true
//
// The service gets a POST with {"event": "connected" | "disconnected", "clientid", "username", …} for
// each. Nobody waits for it: what it answers counts for nothing, and a failure is counted and logged.
const { WEBHOOK_URL: url = 'http://127.0.0.1:8080/mqtt' } = process.env;

async function tell(event, client) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ event, ...client }),
    signal: AbortSignal.timeout(900),
  });
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
}

// oxlint-disable-next-line import/no-default-export -- it is what AUTH_MODULE loads
export default {
  onConnect: (client) => tell('connected', client),
  onDisconnect: (client) => tell('disconnected', client),
};
