// Prints the windows that were published in the last day, or since a time. Install: npm install. Run: node replay.mjs [TIME]
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const since = process.argv[2] ?? new Date(Date.now() - 86_400_000).toISOString();
const nc = await connect();
const start = { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since };
const windows = await jetstream(nc).consumers.get('WINDOWS', start);
let left = (await windows.info()).num_pending;
const messages = left ? await windows.consume() : [];
for await (const msg of messages) {
  const { end, site, zone, rate, persons } = msg.json();
  print(end, site, zone, rate, persons);
  if (--left === 0) break;
}
await nc.close();
