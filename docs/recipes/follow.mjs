// Prints each message of Moretta's as it is published; what was before is missed. Install: npm install. Run: node follow.mjs
import { connect, print } from './connect.mjs';

const nc = await connect();
for await (const msg of nc.subscribe('moretta.>')) print(msg.subject, msg.string());
