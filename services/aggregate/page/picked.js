// Spans that a reader picked, for the trends of a site: asked of the site itself. Without one a trend is today's.

import { MS, period } from "./model.js";
import { before, borders, fileName } from "./spans.js";
import { backoff } from "./timing.js";

const AGAIN_MS = 10_000;
const MOST_MS = 300_000;
const RENEW_MS = 300_000;
/** What each kind of span is asked for by: the windows of a whole month are more than a chart shows. */
const STEPS = { day: "window", week: "hour", month: "day" };

/** What a zone adds up to of which nothing is stored. */
const NONE = period({ windows_published: 0 });
const totalOf = ({ asked, periods: [total = asked === "answered" ? NONE : null] }) => total;

export class Picked {
  /** `ask(zone's key, step, from, until)` returns `{state, reply}` as `History.ask` does; `changed` is called at news. */
  constructor(ask, changed) {
    Object.assign(this, { ask, changed });
    this.spans = new Map();
    this.found = new Map();
    this.turn = Promise.resolve();
  }

  /** Show this span of a site from now on; null is today. */
  pick(site, span) {
    if (span === null) this.spans.delete(site);
    else this.spans.set(site, span);
    for (const question of this.found.keys()) if (question.startsWith(`${site}/`)) this.found.delete(question);
    this.changed();
  }

  /** A new connection: what was not answered is asked for again. */
  restart() {
    for (const [question, { asked }] of this.found) if (asked !== "answered") this.found.delete(question);
  }

  /** A zone's trend in the span that was picked for its site, times in nanoseconds; null for today.

  `{span, borders, asked, periods}`, and of the span and the one before it `totals`, each a period, or null if that isn't known yet.
  */
  of(site, zone, timeZone, nowMs) {
    const span = this.spans.get(site);
    if (span === undefined) return null;
    const answer = (one, step) => this.answer(`${site}/${zone}`, step, one, borders(one, timeZone), nowMs);
    const { asked, periods } = answer(span, STEPS[span.kind]);
    const totals = [span, before(span)].map((one) => totalOf(answer(one, "total")));
    return { span, borders: borders(span, timeZone).map((ms) => ms * MS), asked, periods, totals };
  }

  /** What is known by now; it is asked for if it was not, and again while windows of the span may still be to come. */
  answer(key, step, span, [from, until], nowMs) {
    const question = `${key}/${fileName(span)}/${step}`;
    const found = this.found.get(question);
    const isOld = found?.asked === "answered" && found.atMs < until + RENEW_MS && nowMs - found.atMs > RENEW_MS;
    if (found === undefined || found.isDue || isOld) this.want(question, [key, step, from * MS, until * MS], found, nowMs);
    return this.found.get(question);
  }

  /** Ask once the questions before have their answers: a site answers one after another, and each within seconds. */
  want(question, asked, { periods, failures } = { periods: [], failures: 0 }, nowMs) {
    const asking = { asked: "asking", periods, failures, atMs: nowMs };
    this.found.set(question, asking);
    const isWanted = () => this.found.get(question) === asking; // otherwise another span was picked meanwhile
    this.turn = this.turn.then(async () => {
      if (!isWanted()) return;
      const { state, reply } = await this.ask(...asked);
      const tried = { asked: state, failures: state === "failed" ? failures + 1 : 0 };
      if (isWanted()) this.take(question, { ...asking, ...tried, periods: reply?.periods.map(period) ?? periods });
    });
  }

  take(question, answer) {
    this.found.set(question, answer);
    if (answer.asked === "failed") setTimeout(() => this.again(answer), backoff(answer.failures - 1, AGAIN_MS, MOST_MS));
    this.changed();
  }

  /** Ask again; what was known before stays. */
  again(answer) {
    answer.isDue = true;
    this.changed();
  }
}
