// The connection to NATS as the subscriber: what comes, and what was before, asked for message by message (ADR 20).

import { wsconnect } from "./nats.js";

const PREFIX = "_INBOX_subscriber";
const API = "moretta.api.";
const STREAMS = ["WINDOWS", "ALERTS", "OPERATIONS", "CAMERAS"];
const HEARD = ["windows.*.*", "alerts.*.*.*", "operations.*.*.*", "cameras.*.*"].map((one) => `moretta.v1.${one}`);
const ANSWER_MS = 5_000;
const AGAIN_MS = 2_000;
const AT_A_TIME = 8;

/** The server wants a key, or another one. */
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
  /** `told` is called with each message; `changed` with "live" or "lost". */
  constructor(server, authenticator, { told, changed }) {
    Object.assign(this, { server, authenticator, told, changed, offsetMs: 0, refusals: [] });
  }

  /** Connect and stay connected; returns only by raising Refused. */
  async run() {
    for (;;) {
      try {
        this.connection = await wsconnect(this.options());
        this.subscribe();
        this.changed("live");
        await Promise.race([this.follow(), this.connection.closed()]);
        await this.connection.close();
      } catch (error) {
        if (isRefusal(error)) throw new Refused(error.message);
      }
      this.changed("lost");
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
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
    for (const subject of HEARD) {
      this.connection.subscribe(subject, { callback: (error, message) => error ? this.refusals.push(subject) : this.hear(message) });
    }
  }

  hear(message) {
    try {
      this.told(message.json(), true);
    } catch {
      // no message of ours: docs/subscribing.md
    }
  }

  async follow() {
    for await (const status of this.connection.status()) {
      if (["disconnect", "staleConnection", "close"].includes(status.type)) return;
    }
  }

  /** Tell the last message of each subject in the streams. */
  async latest() {
    for (const stream of STREAMS) {
      const info = await this.ask(`${API}STREAM.INFO.${stream}`, { subjects_filter: ">" });
      if (info?.ts) this.offsetMs = Date.parse(info.ts) - Date.now();
      const subjects = Object.keys(info?.state?.subjects ?? {}).filter((one) => HEARD.some((row) => matches(row, one)));
      await inTurns(subjects, async (subject) => {
        const found = await this.ask(`${API}STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
        const message = found?.message?.data ? parsed(found.message.data) : null;
        if (message !== null) this.told(message, false);
      });
    }
  }

  /** The published windows of a zone since a time, or today; null where nobody answers, or only with an error. */
  async history(site, zone, since) {
    const question = { type: "StatsRequestV1", site, zone, step: "window", ...(since === null ? {} : { since }) };
    const answer = await this.ask(`moretta.v1.stats.${site}`, question);
    return answer?.type === "StatsReplyV1" && answer.error === null ? answer : null;
  }

  async ask(subject, question) {
    try {
      return (await this.connection.request(subject, JSON.stringify(question), { timeout: ANSWER_MS })).json();
    } catch {
      return null; // nobody there, or too late: the page shows what comes
    }
  }
}

/** Whether a subject is one of a row with `*` in it. */
export function matches(row, subject) {
  const [wanted, found] = [row.split("."), subject.split(".")];
  return wanted.length === found.length && wanted.every((one, index) => one === "*" || one === found[index]);
}

function parsed(base64) {
  try {
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))));
  } catch {
    return null;
  }
}

const isRefusal = (error) => /authorization|authentication/i.test(`${error?.name} ${error?.message}`);

async function inTurns(items, work) {
  const waiting = [...items];
  const worker = async () => {
    while (waiting.length > 0) await work(waiting.shift());
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}
