// Days, weeks and months, waits, and what is asked again until there is an answer, under Node's own test runner; test_page_modules.py runs this file.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

const page = new URL("../../../services/aggregate/page/", import.meta.url);
const load = (name) => import(new URL(name, page));
const { dateOf, day, dayOf, isZone } = await load("day.js");
const { Picked } = await load("picked.js");
const { before, borders, fileName, lastOf, spanAt } = await load("spans.js");
const { backoff, ownClock } = await load("timing.js");
const { settled } = await load("config.js");
const { Latest } = await load("latest.js");
const { History, stepOf } = await load("history.js");
const { commonZone, Notice, oldest, tell } = await load("notice.js");
const { empty, take, MS } = await load("model.js");

const HOUR = 3_600_000;

test("a day with a change of the clock has 23 or 25 hours", () => {
  const hours = (date, zone) => {
    const [from, until] = day(Date.parse(`${date}T12:00:00Z`), zone);
    return [new Date(from).toISOString(), (until - from) / HOUR];
  };
  assert.deepEqual(hours("2026-03-29", "Europe/Paris"), ["2026-03-28T23:00:00.000Z", 23]);
  assert.deepEqual(hours("2026-10-25", "Europe/Paris"), ["2026-10-24T22:00:00.000Z", 25]);
  assert.deepEqual(hours("2026-11-25", "Europe/Paris"), ["2026-11-24T23:00:00.000Z", 24]);
  assert.deepEqual(hours("2026-03-08", "America/Havana"), ["2026-03-08T05:00:00.000Z", 23]); // it begins at one o'clock
  assert.deepEqual(hours("2026-04-05", "Australia/Lord_Howe"), ["2026-04-04T13:00:00.000Z", 24.5]);
  const [, midnight] = day(Date.UTC(2026, 9, 25, 12), "Europe/Paris");
  assert.equal(day(midnight - 1, "Europe/Paris")[1], midnight);
  assert.equal(day(midnight, "Europe/Paris")[0], midnight);
  assert.equal(dateOf(midnight, "Europe/Paris"), "2026-10-26");
  assert.deepEqual(["Europe/Paris", "Europe/Atlantis", undefined, 5].map(isZone), [true, false, false, false]);
});

test("a date is a day of the place, however far its clocks are from UTC", () => {
  for (const zone of ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Paris", "UTC"]) {
    const [from, until] = dayOf("2026-11-25", zone);
    assert.deepEqual([from, until - 1].map((ms) => dateOf(ms, zone)), ["2026-11-25", "2026-11-25"], zone);
    assert.equal(until - from, 24 * HOUR);
  }
});

test("a day of short windows is asked for by the hour", () => {
  assert.deepEqual([4, 299, 300, 1_200].map((s) => stepOf({ start: 0, end: s * 1e9 })), ["hour", "hour", "window", "window"]);
});

test("a week begins on Monday, and a month has the days that it has", () => {
  const dates = (kind, date) => {
    const span = spanAt(kind, date);
    return [before(span).first, span.first, lastOf(span), fileName(span)];
  };
  assert.deepEqual(dates("day", "2026-03-01"), ["2026-02-28", "2026-03-01", "2026-03-01", "2026-03-01"]);
  const week = ["2026-12-21", "2026-12-28", "2027-01-03", "2026-12-28-week"];
  assert.deepEqual(["2026-12-28", "2027-01-01", "2027-01-03"].map((date) => dates("week", date)), [week, week, week]);
  assert.deepEqual(dates("month", "2026-01-31"), ["2025-12-01", "2026-01-01", "2026-01-31", "2026-01"]);
  assert.deepEqual(dates("month", "2028-02-29"), ["2028-01-01", "2028-02-01", "2028-02-29", "2028-02"]);
  const hours = (kind, date) => borders(spanAt(kind, date), "Europe/Paris").reduce((from, until) => (until - from) / HOUR);
  assert.deepEqual([hours("week", "2026-03-29"), hours("month", "2026-10-01"), hours("month", "2026-02-28")], [7 * 24 - 1, 31 * 24 + 1, 28 * 24]);
});

/** What is picked at a site, where it is `nowMs`; `come` answers the question that was asked first. */
function picking(nowMs = Date.UTC(2026, 11, 24)) {
  const [asked, replies] = [[], []];
  const picked = new Picked((...question) => (asked.push(question), new Promise((resolve) => replies.push(resolve))), () => {});
  const come = async (state, ...rates) => {
    replies.shift()({ state, reply: state === "answered" ? { periods: rates.map((rate) => ({ start: 0, end: 1, rate, profile: "lab" })) } : undefined });
    await turns();
  };
  const shown = async (laterMs = 0) => {
    const found = picked.of("s", "z", "UTC", nowMs + laterMs);
    await turns();
    return found;
  };
  return { picked, asked, come, shown };
}
const rates = (periods) => periods.map((one) => one?.rate ?? null);

test("a picked day is asked for once, and again when it failed; an answer about another day comes too late", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { picked, asked, come, shown } = picking();
  assert.equal(await shown(), null);
  picked.pick("s", spanAt("day", "2026-11-25"));
  for (let n = 0; n < 2; n += 1) assert.deepEqual((await shown()).periods, []);
  assert.deepEqual(asked, [["s/z", "window", Date.UTC(2026, 10, 25) * MS, Date.UTC(2026, 10, 26) * MS]]);
  picked.pick("s", spanAt("day", "2026-11-24"));
  await shown();
  await come("answered", 0.1);
  assert.equal((await shown()).asked, "asking");
  await come("failed");
  assert.equal((await shown()).asked, "failed");
  for (const rate of [0.2, 0.4]) await come("answered", rate); // the totals, whose turn it was
  mock.timers.tick(10_000);
  assert.equal((await shown()).asked, "asking");
  await come("answered", 0.3);
  const { periods, totals } = await shown();
  assert.deepEqual([rates(periods), rates(totals), asked.length], [[0.3], [0.2, 0.4], 5]);
  picked.restart();
  assert.equal((await shown()).asked, "answered");
  picked.pick("s", spanAt("day", "2026-11-20"));
  await shown();
  for (let n = 0; n < 3; n += 1) await come("answered");
  assert.deepEqual((await shown()).totals.map(({ published }) => published), [0, 0]); // of a zone that was not there yet
  picked.pick("s", null);
  assert.equal(await shown(), null);
});

test("of a week its hours are asked for, its total, and that of the week before, one after another", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { picked, asked, come, shown } = picking();
  const date = (day) => Date.UTC(2026, 10, day) * MS;
  picked.pick("s", spanAt("week", "2026-11-25"));
  await shown();
  assert.equal(asked.length, 1);
  await come("answered", 0.1, 0.3);
  await come("answered", 0.2);
  await come("failed");
  assert.deepEqual(rates((await shown()).totals), [0.2, null]);
  mock.timers.tick(10_000);
  await shown();
  await come("answered", 0.4);
  assert.deepEqual(rates((await shown()).totals), [0.2, 0.4]);
  const total = ["s/z", "total", date(16), date(23)];
  assert.deepEqual(asked, [["s/z", "hour", date(23), date(30)], ["s/z", "total", date(23), date(30)], total, total]);
  assert.equal((await shown(HOUR)).asked, "answered"); // the week is over
  assert.equal(asked.length, 4);
});

test("a month that is not over is asked for again, and what was known is shown meanwhile", async () => {
  const { picked, asked, come, shown } = picking(Date.UTC(2026, 10, 25));
  picked.pick("s", spanAt("month", "2026-11-25"));
  await shown();
  for (const rate of [0.1, 0.2, 0.3]) await come("answered", rate);
  assert.deepEqual(asked.map(([, step]) => step), ["day", "total", "total"]);
  await shown(HOUR / 20);
  assert.equal(asked.length, 3);
  const { periods, totals } = await shown(HOUR);
  assert.deepEqual([rates(periods), rates(totals)], [[0.1], [0.2, 0.3]]);
  for (const rate of [0.4, 0.5]) await come("answered", rate);
  const later = await shown(HOUR);
  assert.deepEqual([rates(later.periods), rates(later.totals), asked.length], [[0.4], [0.5, 0.3], 5]);
});

test("waits double up to a limit, with full jitter", () => {
  assert.deepEqual([0, 1, 2, 3, 9, 99].map((failures) => backoff(failures, 1_000, 30_000, () => 1)), [1_000, 2_000, 4_000, 8_000, 30_000, 30_000]);
  assert.equal(backoff(9, 1_000, 30_000, () => 0), 0);
  assert.equal(backoff(1, 1_000, 30_000, () => 0.5), 1_000);
});

test("a config.json says where NATS is, what profiles allow, and the columns of CSV; the rest may be missing", () => {
  const [profiles, columns] = [[{ name: "lab", rules: true, zones: true }], ["site", "interval_low"]];
  const given = { profiles, columns };
  assert.deepEqual(settled({ server: "/nats", ...given }), { server: "/nats", key: false, cameras: null, ...given, gaps: {}, isNamed: false, names: {} });
  const addresses = ["https://192.0.2.7:8443/", "javascript:alert(1)", 5].map((cameras) => settled({ server: "x", ...given, cameras }).cameras);
  assert.deepEqual(addresses, ["https://192.0.2.7:8443/", null, null]);
  const names = { s: { name: "S", language: "fr", timezone: "Europe/Paris" }, t: { timezone: "Nowhere" } };
  assert.deepEqual(settled({ server: "x", key: true, ...given, names }).names, {
    s: { name: "S", language: "fr", zones: {}, rules: {}, timezone: "Europe/Paris" }, t: { name: undefined, language: undefined, zones: {}, rules: {}, timezone: undefined },
  });
  const unknown = [undefined, [], "lab", [{ name: "lab" }], [{ name: "lab", rules: 1, zones: true }]].map((one) => ({ server: "x", columns, profiles: one }));
  assert.equal(settled({ server: "x", profiles }).columns.length, 8); // of an earlier version
  const uncertain = [[], "site", [5], ["=1"]].map((one) => ({ server: "x", profiles, columns: one }));
  for (const wrong of [null, {}, { ...given, server: "" }, { ...given, server: 5 }, "x", ...unknown, ...uncertain]) assert.throws(() => settled(wrong), TypeError);
});

test("data are old by the site that published last, in the zone that all have", () => {
  const known = empty();
  assert.equal(oldest(known, 0), null);
  const window = (site, end) => ({ type: "WindowV1", site, zone: "_site", profile: "lab", start: end - HOUR * MS, end });
  take(known, window("a", 2 * HOUR * MS));
  take(known, window("b", 3 * HOUR * MS));
  assert.equal(oldest(known, 4 * HOUR), null);
  assert.deepEqual(oldest(known, 9 * HOUR), { sinceMs: 4 * HOUR, site: "b" });
  take(known, { type: "CameraV1", site: "b", camera: "film", at: 1, state: "ended" });
  assert.equal(oldest(known, 9 * HOUR).site, "a");
  assert.deepEqual([commonZone(["a", "a"]), commonZone(["a", "b"]), commonZone([])], ["a", undefined, undefined]);
});

/** A bus that gives these answers in turn, and the last one for ever. */
const bus = (...given) => ({ connection: {}, offsetMs: 0, asked: [], async ask(subject, question) {
  this.asked.push({ subject, ...question });
  const next = given.length > 1 ? given.shift() : given[0];
  return typeof next === "function" ? next(question) : next;
} });
const turns = async (n = 20) => {
  for (let index = 0; index < n; index += 1) await Promise.resolve();
};
const waited = async (ms) => {
  mock.timers.tick(ms);
  await turns();
};
const INFO = { type: "io.nats.jetstream.api.v1.stream_info_response", config: { name: "WINDOWS" }, state: {} };

test("a stream that does not answer is asked again, later and later; one that may not be read is not", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const read = [];
  const silent = bus({ why: "silent" }, { said: { ...INFO, error: { code: 503 } } }, { said: INFO });
  const latest = new Latest(silent, { found: () => {}, read: (_, state) => read.push(state) });
  latest.follow("WINDOWS", silent.connection);
  await turns();
  assert.deepEqual([latest.is("failed"), latest.is("failed", ["ALERTS"])], [true, false]);
  await waited(2_000);
  await waited(4_000);
  assert.deepEqual(read, ["asking", "failed", "failed", "answered"]);
  await waited(600_000);
  assert.equal(silent.asked.length, 3);
  const denied = bus({ why: "refused" });
  const other = new Latest(denied, { found: () => {}, read: () => {} });
  other.follow("ALERTS", denied.connection);
  await waited(600_000);
  assert.deepEqual([other.states.ALERTS, denied.asked.length], ["refused", 1]);
});

test("a new connection ends the questions of the one before", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const silent = bus({ why: "silent" });
  new Latest(silent, { found: () => {}, read: () => {} }).follow("WINDOWS", silent.connection);
  await turns();
  silent.connection = {};
  await waited(600_000);
  assert.equal(silent.asked.length, 1);
  const read = [];
  const late = bus({ why: "silent" });
  new Latest(late, { found: () => {}, read: (_, state) => read.push(state) }).follow("WINDOWS", late.connection);
  late.connection = {}; // before the answer
  await turns();
  assert.deepEqual(read, ["asking"]);
});

const NOW = Math.round(ownClock());
const iso = (ms) => new Date(ms).toISOString();
const window = (given = {}) => ({ type: "WindowV1", site: "s", zone: "hall", start: (NOW - HOUR) * MS, end: NOW * MS, ...given });
const reply = (question, given) => ({ said: {
  type: "StatsReplyV1", site: "s", zone: question.zone, step: question.step, timezone: "Europe/Paris", since: question.since ?? iso(NOW - HOUR),
  until: iso(NOW + HOUR), error: null, periods: [], ...given,
} });
const history = (from) => {
  const told = { found: [], gone: [] };
  const made = new History(from, { found: (key) => told.found.push(key), gone: (key) => told.gone.push(key), changed: () => {} });
  return { made, told };
};

test("history is asked for until it answers what was asked", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const from = bus({ why: "silent" }, (asked) => reply({ ...asked, zone: "other" }), (asked) => reply(asked, { error: "unavailable" }), (asked) => reply(asked));
  const { made, told } = history(from);
  made.want(window());
  assert.equal(made.stateOf("s/hall"), "asking");
  made.interrupt();
  assert.equal(made.stateOf("s/hall"), "failed");
  await turns();
  assert.equal(made.stateOf("s/hall"), "failed");
  await waited(2_000);
  await waited(4_000);
  assert.deepEqual([made.stateOf("s/hall"), told.found], ["failed", []]);
  await waited(8_000);
  assert.deepEqual([made.stateOf("s/hall"), told.found, from.asked.length], ["answered", ["s/hall"], 4]);
  await made.want(window());
  assert.equal(from.asked.length, 4); // it is not old
});

test("of a zone that is old it is asked whether there still is one", async () => {
  const stays = bus((asked) => reply(asked));
  const other = history(stays).made;
  const from = bus((asked) => reply(asked), (asked) => reply(asked, { error: "unknown-zone" }));
  const { made, told } = history(from);
  const old = window({ start: (NOW - 9 * HOUR) * MS, end: (NOW - 8 * HOUR) * MS });
  for (let times = 0; times < 4; times += 1) await other.want(old); // its day, and once whether it is there
  assert.deepEqual([other.stateOf("s/hall"), stays.asked.length], ["answered", 2]);
  await made.want(old);
  assert.deepEqual([made.stateOf("s/hall"), told.gone], ["answered", []]);
  await made.want(old);
  assert.deepEqual([made.stateOf("s/hall"), told.gone], ["gone", ["s/hall"]]);
  assert.deepEqual([from.asked[1].step, Math.abs(Date.parse(from.asked[1].since) - NOW) < 60_000], ["total", true]);
  await made.want(old);
  assert.equal(from.asked.length, 2);
  made.forget("s/hall");
  await made.want(old);
  assert.equal(from.asked.length, 3);
});

test("of short windows the last ones are asked for, and a refusal is not repeated", async () => {
  const from = bus({ why: "refused" });
  const { made } = history(from);
  const short = window({ start: (NOW - 4_000) * MS });
  await made.want(short);
  await made.want(short);
  assert.deepEqual([made.stateOf("s/hall"), from.asked.length, from.asked[0].since], ["refused", 1, iso(NOW - 200 * 4_000)]);
});

test("a loss is said once it lasts, with the return; alerts of one moment are said together, not all of many", (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const elements = {};
  globalThis.document = { getElementById: (id) => (elements[id] ??= { textContent: "", dataset: {} }) };
  t.after(() => {
    mock.timers.reset();
    delete globalThis.document;
  });
  const clock = mock.method(performance, "now", () => 0);
  const said = () => elements.told?.textContent ?? "";
  const notice = new Notice();
  for (const state of ["refused", "lost", "live", "lost"]) notice.changed(state, 0);
  mock.timers.tick(2_999);
  notice.changed("live", 0);
  mock.timers.tick(9_000);
  for (const state of ["lost", "live"]) notice.changed(state, 0);
  assert.equal(said(), "");
  notice.changed("lost", 0);
  notice.changed("refused", 0);
  mock.timers.tick(3_000);
  assert.match(said(), /has not let this page in since/);
  clock.mock.mockImplementation(() => 2_000);
  notice.changed("live", 0);
  assert.equal(said(), "Connected again.");
  clock.mock.mockImplementation(() => 9_000);
  for (const one of ["a", "b", "c", "d"]) tell(one);
  assert.equal(said(), "a b c");
});
