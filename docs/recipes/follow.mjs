// Prints each message of Moretta's as it is published; what was before is missed. Install: npm install. Run: node follow.mjs
import { connect } from './connect.mjs';

const nc = await connect();
for await (const msg of nc.subscribe('moretta.>')) console.log(msg.subject, msg.string());
