// Prints each window as it is published, one line each.
// Install: npm install @nats-io/transport-node (Node.js 18.3 or later); keep reader.mjs and rules.mjs beside it
// Run: node windows.mjs [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

import { connected, line, read, site, unknown } from './reader.mjs';
import { isAnswer } from './rules.mjs';

const wanted = site('usage: node windows.mjs [SITE]');
const nc = await connected();
const why = await unknown(nc, wanted);
if (why) console.error(why);
const subject = `moretta.v1.windows.${wanted}.*`;
const subscription = nc.subscribe(subject);
await nc.flush();
console.error(`listening to ${subject}; a window is published when it has ended`);
for await (const msg of subscription) {
  const window = read(msg.subject, msg.data, isAnswer(msg.headers));
  if (window) console.log(line(window));
}
