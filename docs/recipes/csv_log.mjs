// Appends every window as a row of CSV, and misses none. Install: npm install. Run: node csv_log.mjs >> windows.csv
import { fstatSync } from 'node:fs';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, print } from './connect.mjs';

const columns = ['end', 'site', 'zone', 'rate', 'persons', 'coverage']; // none of them has a comma
if (fstatSync(1).size === 0) print(columns.join());
const nc = await connect();
await (await jetstreamManager(nc)).consumers.add('WINDOWS', { durable_name: 'csv-js', ack_policy: AckPolicy.Explicit });
const windows = await jetstream(nc).consumers.get('WINDOWS', 'csv-js');
for await (const msg of await windows.consume({ abort_on_missing_resource: true })) {
  const window = msg.json();
  print(columns.map((name) => window[name]).join());
  msg.ack();
}
