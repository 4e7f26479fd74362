// What browser.html runs, by WebSocket. `npm run bundle` makes browser.js of it.

import { nkeyAuthenticator, wsconnect } from '@nats-io/nats-core';

const form = document.querySelector('form');
const status = document.querySelector('[role=status]');
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  form.hidden = true;
  say('connecting');
  try {
    await run(form.url.value.trim(), form.seed.value.trim());
  } catch (error) {
    say(`not connected: ${error.message}`);
  }
  form.hidden = false;
});

const say = (text) => (status.textContent = text);

/** Show windows until the connection is closed; throws what is wrong, in words for whoever looks. */
async function run(url, seed) {
  const key = seed ? { authenticator: signer(seed) } : {};
  const options = { servers: url, inboxPrefix: '_INBOX_subscriber', maxReconnectAttempts: -1, timeout: 5000, ...key };
  const nc = await wsconnect(options).catch(async (error) => {
    throw new Error(await why(url, error));
  });
  const live = nc.subscribe('moretta.v1.windows.*.*'); // first, so that none is missed between
  tell(nc);
  try {
    await latest(nc);
    for await (const msg of live) show(msg.subject, msg.string());
  } catch (error) {
    await nc.close();
    throw error;
  }
  throw new Error(await why(url, (await nc.closed()) ?? new Error('the connection was closed')));
}

/** What signs with the seed; throws where the text is none. */
function signer(seed) {
  const sign = nkeyAuthenticator(new TextEncoder().encode(seed));
  try {
    sign('');
  } catch {
    throw new Error('this is no seed, which is one line of 58 letters and digits that begins with SU');
  }
  return sign;
}

/** What is wrong. A browser does not tell a page why it was refused: whether anybody is there is asked by HTTP. */
async function why(url, error) {
  if (/authorization|authentication/i.test(`${error.name} ${error.message}`)) return 'wrong key: NATS refuses this seed; get the present one';
  if (error.name === 'SyntaxError' || !/^wss?:/.test(url)) return `${url} is no address such as ws://127.0.0.1:8080`;
  const isThere = await fetch(url.replace(/^ws/, 'http'), { mode: 'no-cors', cache: 'no-store' }).then(() => true, () => false);
  if (isThere) return `${url} refuses pages of ${location.origin}; let them in with --origin ${location.origin}`;
  return `nobody listens at ${url}; is the address right?`;
}

/** Show the last window of each zone. */
async function latest(nc) {
  const info = await ask(nc, 'STREAM.INFO.WINDOWS', { subjects_filter: 'moretta.v1.windows.*.*' });
  for (const subject of Object.keys(info.state?.subjects ?? {})) {
    const { message } = await ask(nc, 'STREAM.MSG.GET.WINDOWS', { last_by_subj: subject });
    if (message) show(subject, atob(message.data));
  }
  say(rows.size > 0 ? 'connected' : 'connected, waiting for the first window: it comes when it has ended');
}

/** Say whether what is shown is still of now; what was published meanwhile is asked for. */
async function tell(nc) {
  for await (const { type } of nc.status()) {
    if (type === 'disconnect') say('connection lost, tries again');
    if (type === 'reconnect') catchUp(nc);
  }
}

/** Show the last windows once the server answers, and again a moment later: a stream that has just come back may lack the last one. */
async function catchUp(nc) {
  for (let answers = 0; answers < 2 && !nc.isClosed(); await new Promise((done) => setTimeout(done, 3000))) {
    await latest(nc).then(() => answers++, (error) => nc.isClosed() || say(error.message));
  }
}

/** Ask JetStream; throws what it says, unless it has no such thing (yet). The page, which has no key, may ask no more than this. */
async function ask(nc, what, question) {
  const answer = (await nc.request(`$JS.API.${what}`, JSON.stringify(question), { timeout: 5000 })).json();
  if (answer.error && answer.error.code !== 404) throw new Error(answer.error.description);
  return answer;
}

const rows = new Map();

/** Put a window in its zone's row; null: not published. */
function show(subject, text) {
  const window = JSON.parse(text);
  if (rows.size === 0) say('connected');
  const { row, end } = rows.get(subject) ?? { row: document.querySelector('tbody').insertRow(), end: '' };
  if (window.end < end) return; // older than what is shown
  rows.set(subject, { row, end: window.end });
  const cells = [window.end, window.site, window.zone, window.rate, window.persons, window.coverage];
  row.replaceChildren(...cells.map((text) => Object.assign(document.createElement('td'), { textContent: text ?? '-' })));
}
