// Prints the latest window of each zone, then each new one. Install: npm install. Run: node latest.mjs
import { latestThenNew, print } from './connect.mjs';

for await (const msg of latestThenNew('WINDOWS', 'moretta.v1.windows.>')) {
  const { end, site, zone, rate, persons } = msg.json();
  print(end, site, zone, rate, persons);
}
