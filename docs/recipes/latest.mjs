// Prints the latest window of each zone, then each new one. Install: npm install. Run: node latest.mjs
import { Kvm } from '@nats-io/kv';
import { connect, print } from './connect.mjs';

const bucket = await new Kvm(await connect()).open('moretta_latest');
for await (const entry of await bucket.watch({ key: 'windows.>' })) {
  const { end, site, zone, rate, persons } = entry.json();
  print(end, site, zone, rate, persons);
}
