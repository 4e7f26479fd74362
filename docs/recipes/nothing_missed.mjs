// Prints every window, those too that were published while it, the network or the server was away.
// Install: npm install. Run: node nothing_missed.mjs; another name than "mine-js" begins anew.
import { durable, print } from './connect.mjs';

for await (const msg of await durable('mine-js')) {
  const { end, site, zone, rate, persons } = msg.json();
  print(end, site, zone, rate, persons);
  msg.ack();
}
