// Prints the latest window of each zone, then each new one. Install: npm install. Run: node latest.mjs
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const latest = { deliver_policy: DeliverPolicy.LastPerSubject, filter_subjects: 'moretta.v1.windows.>' };
const windows = await jetstream(await connect()).consumers.get('WINDOWS', latest);
for await (const msg of await windows.consume()) {
  const { end, site, zone, rate, persons } = msg.json();
  print(end, site, zone, rate, persons);
}
