// Prints the state of each alert, since when and the end of the window that decided it; then each change.
// Install: npm install. Run: node alerts.mjs
import { Kvm } from '@nats-io/kv';
import { connect, print } from './connect.mjs';

const bucket = await new Kvm(await connect()).open('moretta_latest');
for await (const entry of await bucket.watch({ key: 'alerts.>' })) {
  const { state, site, zone, rule, since, end, rate } = entry.json();
  print(state, site, zone, rule, since, end, rate);
}
