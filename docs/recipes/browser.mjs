// What browser.html runs, by WebSocket. `npm run bundle` makes browser.js of it.

import { nkeyAuthenticator, wsconnect } from '@nats-io/nats-core';

const form = document.querySelector('form');
const status = document.querySelector('[role=status]');
form.addEventListener('submit', (event) => {
  event.preventDefault();
  form.hidden = true;
  run(form.url.value, form.seed.value).catch((error) => {
    status.textContent = error.message;
    form.hidden = false;
  });
});

async function run(url, seed) {
  const nc = await wsconnect({
    servers: url,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed.trim())),
    inboxPrefix: '_INBOX_subscriber',
    maxReconnectAttempts: -1,
  });
  const live = nc.subscribe('moretta.v1.windows.*.*'); // first, so that none is missed between
  tell(nc);
  await latest(nc);
  for await (const msg of live) show(msg.json());
}

/** Show the last window of each zone. */
async function latest(nc) {
  const info = await ask(nc, 'STREAM.INFO.WINDOWS', { subjects_filter: 'moretta.v1.windows.*.*' });
  for (const subject of Object.keys(info.state.subjects ?? {})) {
    const { message } = await ask(nc, 'STREAM.MSG.GET.WINDOWS', { last_by_subj: subject });
    show(JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(message.data), (char) => char.charCodeAt(0)))));
  }
  status.textContent = 'connected';
}

/** Say whether what is shown is still of now; what was published meanwhile is asked for. */
async function tell(nc) {
  for await (const { type } of nc.status()) {
    if (type === 'disconnect') status.textContent = 'not connected, tries again';
    if (type === 'reconnect') latest(nc).catch((error) => (status.textContent = error.message));
  }
}

/** Ask JetStream, which is called moretta.api here; throws what it says. */
async function ask(nc, what, question) {
  const answer = (await nc.request(`moretta.api.${what}`, JSON.stringify(question), { timeout: 5000 })).json();
  if (answer.error) throw new Error(answer.error.description);
  return answer;
}

const rows = new Map();

/** Put a window in its zone's row; null: not published. */
function show(window) {
  if (window.type !== 'WindowV1') return;
  const zone = `${window.site}/${window.zone}`;
  const { row, end } = rows.get(zone) ?? { row: document.querySelector('tbody').insertRow(), end: 0 };
  if (window.end < end) return;
  rows.set(zone, { row, end: window.end });
  const until = new Date(window.end / 1e6).toISOString();
  const cells = [until, window.site, window.zone, window.rate, window.persons, window.coverage];
  row.replaceChildren(...cells.map((text) => Object.assign(document.createElement('td'), { textContent: text ?? '-' })));
}
