// Prints a site's last day by hours of its own clock, asked of aggregate. Install: npm install. Run: node history.mjs SITE
import { connect, end, print } from './connect.mjs';

const site = process.argv[2] ?? end(new Error('which site? history.mjs SITE'));
const since = new Date(Date.now() - 86_400_000).toISOString();
const question = { type: 'StatsRequestV1', site, since, step: 'hour' }; // or window, day, total
const nc = await connect();
const answer = await nc.request(`moretta.v1.stats.${site}`, JSON.stringify(question), { timeout: 5000 });
const why = answer.headers?.get('Nats-Service-Error');
if (why) end(new Error(why));
for (const period of answer.json().periods) {
  print(period.start, period.end, period.rate, period.persons, period.coverage);
}
await nc.close();
