// Appends every window as a row of CSV, and misses none. Install: npm install. Run: node csv_log.mjs >> windows.csv
import { fstatSync } from 'node:fs';
import { durable, print } from './connect.mjs';

const columns = ['end', 'site', 'zone', 'rate', 'persons', 'coverage']; // none of them has a comma
if (fstatSync(1).size === 0) print(columns.join());
for await (const msg of await durable('csv-js')) {
  const window = msg.json();
  print(columns.map((name) => window[name]).join());
  msg.ack();
}
