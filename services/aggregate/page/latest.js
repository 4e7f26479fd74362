// The last message of each subject, asked for stream by stream after each new connection, again until there is an answer.

import { storedOf, STREAMS, subjectsOf } from "./messages.js";
import { backoff, ownClock, pause } from "./timing.js";

const API = "$JS.API.";
const FIRST_MS = 2_000;
const MOST_MS = 60_000;

export class Latest {
  /** `found` is called with each message and when it was stored, by the page's own clock; `read` with a stream whose state is another one. */
  constructor(bus, { found, read }) {
    Object.assign(this, { bus, found, read });
    this.states = {};
  }

  /** Ask for all; a stream's state is "asking", "failed" (it is asked for again), "refused" or "answered". */
  start() {
    const here = this.bus.connection;
    for (const stream of Object.keys(STREAMS)) this.follow(stream, here);
  }

  /** Whether any stream, or one of these, is in a state. */
  is(state, streams = Object.keys(STREAMS)) {
    return streams.some((stream) => this.states[stream] === state);
  }

  async follow(stream, here) {
    this.set(stream, "asking");
    for (let failures = 0; ; failures += 1) {
      const state = await this.pass(stream);
      if (this.bus.connection !== here) return;
      this.set(stream, state);
      if (state !== "failed") return;
      await pause(backoff(failures, FIRST_MS, MOST_MS));
      if (this.bus.connection !== here) return;
    }
  }

  set(stream, state) {
    this.states[stream] = state;
    this.read(stream, state);
  }

  async pass(stream) {
    const { said, why } = await this.bus.ask(`${API}STREAM.INFO.${stream}`, { subjects_filter: STREAMS[stream] });
    if (why) return why === "refused" ? "refused" : "failed";
    const subjects = subjectsOf(said, stream);
    if (subjects === null) return "failed";
    if (said.ts) this.bus.offsetMs = Date.parse(said.ts) - ownClock();
    const states = await Promise.all(subjects.map((subject) => this.last(stream, subject)));
    return ["refused", "failed"].find((one) => states.includes(one)) ?? "answered";
  }

  async last(stream, subject) {
    const { said, why } = await this.bus.ask(`${API}STREAM.MSG.GET.${stream}`, { last_by_subj: subject });
    if (why) return why === "refused" ? "refused" : "failed";
    const stored = storedOf(said, subject);
    if (stored?.message) this.found(stored.message, stored.storedMs - this.bus.offsetMs);
    return stored === null ? "failed" : "answered";
  }
}
