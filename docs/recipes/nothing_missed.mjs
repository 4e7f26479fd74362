// Prints every window, those too that were published while it, the network or the server was away.
// Install: npm install. Run: node nothing_missed.mjs; another name than "mine-js" begins anew.
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const nc = await connect();
await (await jetstreamManager(nc)).consumers.add('WINDOWS', { durable_name: 'mine-js', ack_policy: AckPolicy.Explicit });
const windows = await jetstream(nc).consumers.get('WINDOWS', 'mine-js');
for await (const msg of await windows.consume({ abort_on_missing_resource: true })) {
  const { end, site, zone, rate, persons } = msg.json();
  print(end, site, zone, rate, persons);
  msg.ack();
}
