// Prints the state of each alert, since when and the end of the window that decided it; then each change.
// Install: npm install. Run: node alerts.mjs
import { latestThenNew, print } from './connect.mjs';

for await (const msg of latestThenNew('ALERTS', 'moretta.v1.alerts.>')) {
  const { state, site, zone, rule, since, end, rate } = msg.json();
  print(state, site, zone, rule, since, end, rate);
}
