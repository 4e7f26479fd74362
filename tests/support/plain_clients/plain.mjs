// Each way of reading that NATS's users know, by nats.js and nothing else; a line for each.
import { readFileSync } from 'node:fs';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, nkeyAuthenticator } from '@nats-io/transport-node';

const say = (way, message) => {
  const { end, site, zone } = message.json();
  console.log(way, end, site, zone);
};
const { NATS_URL, NATS_NKEY, NATS_CA, NATS_CERT, NATS_KEY } = process.env;
const nc = await connect({
  servers: NATS_URL.split(','),
  authenticator: nkeyAuthenticator(Buffer.from(readFileSync(NATS_NKEY, 'utf8').trim())),
  ...(NATS_CA ? { tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY } } : {}),
});
const live = nc.subscribe('moretta.>');
const [js, jsm] = [jetstream(nc), await jetstreamManager(nc)];
await jsm.consumers.add('WINDOWS', { durable_name: 'plain-js', ack_policy: AckPolicy.Explicit });
const pulled = await (await js.consumers.get('WINDOWS', 'plain-js')).next();
say('pull', pulled);
await pulled.ackAck();
say('ordered', await (await js.consumers.get('WINDOWS')).next());
say('direct', await jsm.direct.getMessage('WINDOWS', { last_by_subj: pulled.subject }));
console.log('listening');
for await (const heard of live) {
  if (heard.subject.startsWith('moretta.v1.windows.')) {
    say('core', heard);
    break;
  }
}
await nc.close();
