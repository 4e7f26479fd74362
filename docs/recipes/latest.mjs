// Prints the latest window of each zone, one line each.
// Install: npm install @nats-io/transport-node (Node.js 18 or later)
// Run: node latest.mjs [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import { readFileSync } from 'node:fs';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const { NATS_URL, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY } = process.env;
const nc = await connect({
  servers: NATS_URL ?? 'nats://127.0.0.1:4222',
  authenticator: nkeyAuthenticator(new TextEncoder().encode(readFileSync(NATS_NKEY ?? 'subscriber.nk', 'utf8').trim())),
  inboxPrefix: '_INBOX_subscriber',
  ...(NATS_CA && { tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY } }),
});

const filter = `moretta.v1.windows.${process.argv[2] ?? '*'}.*`;
const info = await ask('STREAM.INFO.WINDOWS', { subjects_filter: filter });
const subjects = Object.keys(info.state.subjects ?? {}).sort();
if (subjects.length === 0) console.error('no window was published yet');
for (const subject of subjects) {
  const { message } = await ask('STREAM.MSG.GET.WINDOWS', { last_by_subj: subject });
  const window = JSON.parse(Buffer.from(message.data, 'base64').toString('utf8'));
  if (window.type === 'WindowV1') console.log(line(window));
}
await nc.close();

/** Ask JetStream, which is called moretta.api here; throws what it says. */
async function ask(what, question) {
  const answer = (await nc.request(`moretta.api.${what}`, JSON.stringify(question), { timeout: 5000 })).json();
  if (answer.error) throw new Error(answer.error.description);
  return answer;
}

/** A window as one line; null: not published. */
function line(window) {
  const end = new Date(window.end / 1e6).toISOString();
  const shown = ['rate', 'interval', 'persons', 'coverage'].map((name) => `${name}=${JSON.stringify(window[name])}`);
  return `${end} ${window.site} ${window.zone} ${shown.join(' ')}`;
}
