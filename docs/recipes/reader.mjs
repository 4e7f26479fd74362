// What latest.mjs and windows.mjs share: the way in, what is said when something is wrong, and a window as one line.
// Run: not by itself. Keep it and rules.mjs beside them.
// Exit codes of both: 0 done, 2 something to set right, which a line on standard error names.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { parseArgs } from 'node:util';
import { moment, windowOf } from './rules.mjs';

const { connect, nkeyAuthenticator } = await import('@nats-io/transport-node').catch((error) => {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  return wrong('@nats-io/transport-node is missing: npm install, in this folder');
});

const { NATS_CA, NATS_CERT, NATS_KEY } = process.env;
const urls = (process.env.NATS_URL || 'nats://127.0.0.1:4222').split(',');
const seedFile = process.env.NATS_NKEY || 'subscriber.nk';
const FIGURES = ['rate', 'interval', 'persons', 'coverage'];
const tlsWanted = Boolean(NATS_CA || NATS_CERT) || urls.some((url) => url.startsWith('tls:'));
let leaving = false;
process.stdout.on('error', () => process.exit(0)); // whoever read it has enough, such as `head`

/** End with a line on standard error that says what to set right. */
export function wrong(text) {
  console.error(text);
  process.exit(2);
}

/** The site that was asked for, or `*`. */
export function site(usage) {
  let named = [];
  try {
    named = parseArgs({ allowPositionals: true }).positionals;
  } catch (error) {
    wrong(`${error.message.split('. ')[0]}\n${usage}`);
  }
  if (named.length > 1) wrong(usage);
  if (!/^(\*|[a-z0-9-]{1,32})$/.test(named[0] ?? '*')) wrong(`'${named[0]}' is no site: small letters, digits and hyphens\n${usage}`);
  return named[0] ?? '*';
}

/** Connect as subscriber. A server lost later is waited for; a refused seed ends the program. */
export async function connected() {
  for (const url of urls) {
    if (!/^((nats|tls):\/\/)?[^/\s@]+\/?$/.test(url)) wrong(`NATS_URL: '${url.replace(/^(.*\/\/)?.*@/, '$1')}' is no address such as nats://127.0.0.1:4222`);
  }
  const options = {
    servers: urls,
    authenticator: authenticator(),
    inboxPrefix: '_INBOX_subscriber',
    maxReconnectAttempts: -1,
    timeout: 5000,
    ...tls(),
  };
  const nc = await connect(options).catch((error) => wrong(words(error)));
  follow(nc);
  nc.closed().then((error) => leaving || wrong(words(error ?? new Error('the connection was closed'))));
  return nc;
}

/** Close it, and end. */
export async function leave(nc) {
  leaving = true;
  await nc.close();
}

/** Say what happens to the connection. */
async function follow(nc) {
  for await (const { type, error } of nc.status()) {
    if (type === 'disconnect') console.error(`lost ${urls[0]}, waiting for it`);
    if (type === 'reconnect') console.error(`${urls[0]} is back`);
    if (type === 'error' && /permission/i.test(error?.message)) wrong(words(error));
  }
}

/** What went wrong and what to set, in one line. */
function words(error) {
  const chain = [error, error.cause, ...(error.cause?.errors ?? [])].filter(Boolean);
  const said = chain.map((one) => `${one.code ?? ''} ${one.name} ${one.message}`).join(' ');
  const hints = [
    [/authorization|authentication/i, `it refuses the seed in NATS_NKEY (${seedFile}); get the present one`],
    [/permission/i, `${error.message}; is the seed in NATS_NKEY that of subscriber?`],
    [/ENOTFOUND|EAI_AGAIN/, 'no such host; is NATS_URL right?'],
    [/support 'tls'/, 'it offers no TLS, which NATS_CA or tls:// asks for'],
    [/certificate_required|certificate required/i, 'it asks for a certificate: name yours in NATS_CERT and NATS_KEY'],
    [/unknown ca\b|alert/i, `${error.message}; does it know who vouches for NATS_CERT?`],
    [/certificate|ALTNAME|self.signed/i, `its certificate is not believed (${error.message}); are NATS_CA, and the name in NATS_URL, right?`],
    [/ECONNREFUSED|refused/, 'nobody listens there; is NATS_URL right?'],
    [/timeout/i, `no answer in time${tlsWanted ? '; does it ask for a certificate (NATS_CERT), or not know who vouches for yours?' : ''}`],
  ];
  return `${urls[0]}: ${hints.find(([sign]) => sign.test(said))?.[1] ?? (error.message || said)}`;
}

/** What signs with the seed that is in the file by then: a box that comes back has made new ones. Unreadable: the last one. */
function authenticator() {
  if (/SU[A-Z2-7]{40}/.test(seedFile)) wrong('NATS_NKEY names the file of the seed, and holds a seed itself; save that in a file');
  let last = nkeyAuthenticator(Buffer.from(content('NATS_NKEY', seedFile).trim()));
  try {
    last('');
  } catch {
    wrong(`NATS_NKEY: ${seedFile}: no seed, which is one line of 58 letters and digits that begins with SU`);
  }
  return (nonce) => {
    try {
      const present = nkeyAuthenticator(Buffer.from(readFileSync(seedFile, 'utf8').trim()));
      present('');
      last = present;
    } catch { /* it is being written */ }
    return last(nonce);
  };
}

/** How to speak TLS; nats.js refuses a server without it as soon as `tls` is there, even if it is empty. */
function tls() {
  if (!tlsWanted) return {};
  if (Boolean(NATS_CERT) !== Boolean(NATS_KEY)) wrong(`NATS_${NATS_CERT ? 'KEY' : 'CERT'} is not set; a certificate needs its key`);
  const files = { ca: ['NATS_CA', NATS_CA], cert: ['NATS_CERT', NATS_CERT], key: ['NATS_KEY', NATS_KEY] };
  const named = Object.entries(files).filter(([, [, file]]) => file);
  const read = named.map(([key, [name, file]]) => [key, content(name, file)]);
  return { tls: { ...Object.fromEntries(read), checkServerIdentity: identity } };
}

/** What is wrong with the name in a certificate. Where NATS_URL has a number, Node.js is told no name and would take `localhost`. */
function identity(name, certificate) {
  const hosts = urls.map((url) => new URL(url.includes('//') ? url : `nats://${url}`).hostname.replace(/[[\]]/g, ''));
  const numbers = hosts.filter((host) => isIP(host));
  if (name !== 'localhost' || numbers.length === 0) return checkServerIdentity(name, certificate);
  const found = numbers.map((number) => checkServerIdentity(number, certificate));
  return found.includes(undefined) ? undefined : found[0];
}

function content(name, file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return wrong(`${name}: ${file}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  }
}

/** Ask JetStream, which is called moretta.api here; what it says instead of an answer ends the program, unless it has no such thing. */
export async function ask(nc, what, question) {
  const answer = await nc.request(`moretta.api.${what}`, JSON.stringify(question), { timeout: 5000 }).catch((error) => wrong(words(error)));
  const found = answer.json();
  if (found.error && found.error.code !== 404) wrong(`${urls[0]}: ${found.error.description}`);
  return found;
}

/** The subjects of which something is stored; none where a new Moretta has no streams yet. */
export async function subjects(nc, filter) {
  const info = await ask(nc, 'STREAM.INFO.WINDOWS', { subjects_filter: filter });
  return Object.keys(info.state?.subjects ?? {}).sort();
}

/** What to say of a site of which no window was published; nothing if there is one. */
export async function unknown(nc, name) {
  const known = (await subjects(nc, 'moretta.v1.windows.*._site')).map((subject) => subject.split('.')[3]);
  if (known.includes(name) || (name === '*' && known.length > 0)) return undefined;
  const of = name === '*' ? '' : ` of site ${name}`;
  return `no window${of} was published yet${known.length > 0 ? `; there are: ${known.join(', ')}` : ''}`;
}

/** The window that a message is; null, and a line on standard error, where it is none. */
export function read(subject, bytes, isAnswer) {
  const window = windowOf(subject, bytes, isAnswer);
  if (window === null) console.error(`skipped: no WindowV1 at ${subject}`);
  return window;
}

/** A window as one line; null: not published. */
export function line(window) {
  const shown = FIGURES.map((name) => `${name}=${JSON.stringify(window[name] ?? null, rounded)}`);
  return `${moment(window.end)} ${window.site} ${window.zone} ${shown.join(' ')}`;
}

function rounded(_name, figure) {
  return typeof figure === 'number' ? Math.round(figure * 1e4) / 1e4 : figure;
}
