// Prints each window as it is published, one line each.
// Install: npm install @nats-io/transport-node (Node.js 18.3 or later); keep reader.mjs and rules.mjs beside it
// Run: node windows.mjs [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

const [reader, rules] = await Promise.all([import('./reader.mjs'), import('./rules.mjs')]).catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error('reader.mjs or rules.mjs is missing: keep both beside this program');
  process.exit(2);
});
const { connected, line, read, site, unknown } = reader;
const { isAnswer } = rules;

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
