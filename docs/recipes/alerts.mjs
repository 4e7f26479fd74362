// Prints the state of each alert, since when and the end of the window that decided it; then each change.
// Install: npm install. Run: node alerts.mjs
import { DeliverPolicy, jetstream } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const latest = { deliver_policy: DeliverPolicy.LastPerSubject, filter_subjects: 'moretta.v1.alerts.>' };
const alerts = await jetstream(await connect()).consumers.get('ALERTS', latest);
for await (const msg of await alerts.consume()) {
  const { state, site, zone, rule, since, end, rate } = msg.json();
  print(state, site, zone, rule, since, end, rate);
}
