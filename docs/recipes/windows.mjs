// Prints each window as it is published, one line each.
// Install: npm install @nats-io/transport-node (Node.js 18 or later)
// Run: node windows.mjs [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import { readFileSync } from 'node:fs';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const { NATS_URL, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY } = process.env;
const nc = await connect({
  servers: NATS_URL ?? 'nats://127.0.0.1:4222',
  authenticator: nkeyAuthenticator(new TextEncoder().encode(readFileSync(NATS_NKEY ?? 'subscriber.nk', 'utf8').trim())),
  inboxPrefix: '_INBOX_subscriber',
  maxReconnectAttempts: -1,
  ...(NATS_CA && { tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY } }),
});

const subject = `moretta.v1.windows.${process.argv[2] ?? '*'}.*`;
const subscription = nc.subscribe(subject);
await nc.flush();
console.error(`listening to ${subject}; a window is published when it has ended`);
for await (const msg of subscription) {
  const window = msg.json();
  if (window.type === 'WindowV1') console.log(line(window));
}

/** A window as one line; null: not published. */
function line(window) {
  const end = new Date(window.end / 1e6).toISOString();
  const shown = ['rate', 'interval', 'persons', 'coverage'].map((name) => `${name}=${JSON.stringify(window[name])}`);
  return `${end} ${window.site} ${window.zone} ${shown.join(' ')}`;
}
