// Prints the windows that were published in the last day, or since a time or a date (by UTC).
// Install: npm install. Run: node replay.mjs [2026-12-01 | 2026-12-01T08:00:00Z]
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const given = process.argv[2] ?? new Date(Date.now() - 86_400_000).toISOString();
if (!/^\d{4}-\d\d-\d\d(T.+(Z|[+-]\d\d:\d\d))?$/.test(given)) throw new Error(`${given}: no date, and no time with a zone`);
const since = new Date(given).toISOString(); // of a date alone: midnight
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
