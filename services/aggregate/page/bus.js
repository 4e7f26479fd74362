// The connection to NATS, kept for as long as the page is open: what is listened to, and questions one at a time (ADR 20).

import { fits, isPlain, STREAMS, timed } from "./messages.js";
import { wsconnect } from "./nats.js";
import { backoff, ownClock, pause } from "./timing.js";

const PREFIX = "_INBOX_subscriber";
const ANSWER_MS = 5_000;
const FIRST_MS = 1_000;
const MOST_MS = 30_000;
const STEADY_MS = 30_000;
const CONNECT_MS = 10_000;
const AT_A_TIME = 8;

/** The server does not know the key that was given. */
export class Refused extends Error {}

/** How a seed signs; its library is only fetched where one is needed. Throws where the text is no seed. */
export async function signer(seed) {
  const { fromSeed } = await import("./nkeys.js");
  const pair = fromSeed(new TextEncoder().encode(seed));
  const base64 = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return (nonce) => ({ nkey: pair.getPublicKey(), sig: base64(pair.sign(new TextEncoder().encode(nonce ?? ""))) });
}

/** Where NATS is: an address as it is, or a path at the page's own server. */
export function address(server, page) {
  const url = new URL(server, page);
  url.protocol = { "http:": "ws:", "https:": "wss:" }[url.protocol] ?? url.protocol;
  return url.href;
}

export class Bus {
  /** `told` is called with each live message; `changed` with "live", "lost" or "refused"; `denied` with a subject that may not be heard. */
  constructor(server, authenticator, { told, changed, denied }) {
    Object.assign(this, { server, authenticator, told, changed, denied, offsetMs: 0, wasLive: false, isOver: false });
    this.connection = null;
    this.asking = 0;
    this.waiting = [];
  }

  /** Connect, and stay connected until `stop`. Raises Refused if the server refuses a key before it ever took it. */
  async run() {
    for (let failures = 0; !this.isOver; failures += 1) {
      const { why, livedMs } = await this.once();
      if (this.isOver) return;
      if (why === "refused" && this.authenticator !== null && !this.wasLive) throw new Refused();
      if (livedMs > STEADY_MS) failures = 0;
      this.changed(why);
      await pause(backoff(failures, FIRST_MS, MOST_MS));
    }
  }

  /** Try no more. */
  stop() {
    this.isOver = true;
    this.connection?.close();
  }

  /** Connect once, until this ends: why it did, and how long it lived. */
  async once() {
    let since = ownClock();
    try {
      const connection = await within(CONNECT_MS, wsconnect(this.options()));
      since = ownClock();
      this.connection = connection;
      this.wasLive = true;
      this.subscribe();
      this.changed("live");
      const why = await Promise.race([follow(connection), connection.closed()]);
      connection.close().catch(() => {});
      return { why: isRefusal(why) ? "refused" : "lost", livedMs: ownClock() - since };
    } catch (error) {
      return { why: isRefusal(error) ? "refused" : "lost", livedMs: 0 };
    } finally {
      this.connection = null;
    }
  }

  options() {
    const own = this.authenticator ? { authenticator: this.authenticator } : {};
    return {
      servers: this.server, inboxPrefix: PREFIX, name: "moretta page", ignoreClusterUpdates: true, reconnect: false,
      pingInterval: 5_000, maxPingOut: 2, timeout: ANSWER_MS, ...own,
    };
  }

  subscribe() {
    for (const [stream, subject] of Object.entries(STREAMS)) {
      this.connection.subscribe(subject, { callback: (error, message) => (error ? this.denied(stream) : this.hear(message)) });
    }
  }

  hear(message) {
    try {
      const said = timed(message.json());
      if (isPlain(message.headers) && fits(said, message.subject)) this.told(said);
    } catch {
      // no message of ours
    }
  }

  /** Ask: `{said}`, or `{why}`: "refused" where it may not be asked, "silent" where nobody answers. A few questions at a time. */
  async ask(subject, question) {
    await this.turn();
    try {
      const answer = await this.connection.request(subject, JSON.stringify(question), { timeout: ANSWER_MS });
      return { said: answer.json() };
    } catch (error) {
      return { why: error?.cause?.name === "PermissionViolationError" ? "refused" : "silent" };
    } finally {
      this.asking -= 1;
      this.waiting.shift()?.();
    }
  }

  async turn() {
    while (this.asking >= AT_A_TIME) await new Promise((resolve) => this.waiting.push(resolve));
    this.asking += 1;
  }
}

/** The connection, or an error if there is none in time: one that nobody ever closes would be waited for, for ever. */
async function within(ms, connecting) {
  const timeout = Symbol("timeout");
  const first = await Promise.race([connecting, pause(ms).then(() => timeout)]);
  if (first !== timeout) return first;
  connecting.then((late) => late.close()).catch(() => {});
  throw new Error("no connection in time");
}

/** How a connection ended, if it says so. */
async function follow(connection) {
  let last = null;
  for await (const { type, error } of connection.status()) {
    if (type === "error") last = error;
    if (["disconnect", "staleConnection", "close"].includes(type)) return last;
  }
  return last;
}

/** Whether the server does not know who it is. Its "Authentication Timeout" is none: that passes. */
const isRefusal = (error) => /authorization violation/i.test(`${error?.message}`);
