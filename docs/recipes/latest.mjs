// Prints the latest window of each zone, one line each.
// Install: npm install @nats-io/transport-node (Node.js 18.3 or later); keep reader.mjs and rules.mjs beside it
// Run: node latest.mjs [SITE]
// By the variables NATS_URL and NATS_NKEY (the seed's file); with TLS NATS_CA, and NATS_CERT and NATS_KEY.

const [reader, rules] = await Promise.all([import('./reader.mjs'), import('./rules.mjs')]).catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  console.error('reader.mjs or rules.mjs is missing: keep both beside this program');
  process.exit(2);
});
const { ask, connected, leave, line, read, site, subjects, unknown, wrong } = reader;
const { stored, wasAnswer } = rules;

const wanted = site('usage: node latest.mjs [SITE]');
const nc = await connected();
const why = await unknown(nc, wanted);
if (why) wrong(why);
for (const subject of await subjects(nc, `moretta.v1.windows.${wanted}.*`)) {
  const { message } = await ask(nc, 'STREAM.MSG.GET.WINDOWS', { last_by_subj: subject });
  if (!message) continue; // taken away meanwhile
  const window = read(subject, stored(message), wasAnswer(message.hdrs));
  if (window) console.log(line(window));
}
await leave(nc);
