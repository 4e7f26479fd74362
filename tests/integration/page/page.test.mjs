// The page's pure parts under Node's own test runner; test_page_modules.py runs this file.

import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../../services/aggregate/page/", import.meta.url);
const load = (name) => import(new URL(name, page));
const model = await load("model.js");
const profile = await load("profile.js");
profile.learn(["lab", "alerting", "stats-only", "fr-2021-269"].map((name) => ({ name, rules: !/stats|fr/.test(name), zones: !/fr/.test(name) })));
const { cameras, promise } = await load("cameras.js");
const { holes, layout, summary, WIDTH, HEIGHT } = await load("chart.js");
const { csv, head } = await load("csv.js");
head(["start", "end", "rate", "interval_low", "interval_high", "persons", "coverage", "suppressed"]);
const { placeOf } = await load("reading.js");
const { read } = await load("trend.js");
const { choose, age, clock, own, percent, separator, text } = await load("text.js");
const { chosen, LANGUAGES, learnGaps, words } = await load("words.js");

const MINUTE = 60_000 * model.MS;
const window = (given = {}) => ({
  type: "WindowV1", site: "s", zone: "_site", profile: "alerting", start: 0, end: 5 * MINUTE, persons: 10, masked: 5, unmasked: 5,
  incorrect: 0, unknown: 0, rate: 0.5, interval: [0.2, 0.8], coverage: 1, gaps: [], suppressed: null, ...given,
});
const at = (index, given = {}) => model.period(window({ start: index * 5 * MINUTE, end: (index + 1) * 5 * MINUTE, ...given }));

test("a text of the settings is in the reader's language, or else in the site's", () => {
  choose(["fr"]);
  assert.equal(own({ en: "Go", fr: "Allez" }, "en"), "Allez");
  assert.equal(own({ en: "Go", de: "Los" }, "de"), "Los");
  assert.equal(own("Go", "fr"), "Go");
  for (const none of [null, undefined]) assert.equal(own(none, "en"), undefined);
  choose(["en"]);
});

test("a message is taken unless it is foreign or not later than what is known", () => {
  const known = model.empty();
  assert.deepEqual(model.take(known, window({ end: 10 })), { before: undefined });
  for (const end of [9, 10]) assert.equal(model.take(known, window({ end, rate: 0.1 })), null);
  for (const foreign of [null, 5, {}, { type: "DeliveryV1" }, { type: "constructor" }]) assert.equal(model.take(known, foreign), null);
  assert.equal(known.windows.get("s/_site").rate, 0.5);
});

test("an alert goes on to its later state, and not back", () => {
  const alert = (state, end, since = 1) => ({ type: "AlertV1", site: "s", zone: "z", rule: "r", state, end, since });
  const operation = (state, at) => ({ type: "OperationalAlertV1", site: "s", kind: "no-data", name: "z", state, at, since: 1 });
  const known = model.empty();
  const taken = [alert("firing", 5), alert("resolved", 5), alert("firing", 5), alert("firing", 4), alert("firing", 9, 7), alert("resolved", 5)];
  assert.deepEqual(taken.map((one) => model.take(known, one)?.before?.state ?? null), [null, "firing", null, null, "resolved", null]);
  assert.equal(known.alerts.get("s/z/r").end, 9);
  assert.deepEqual([operation("firing", 5), operation("resolved", 6), operation("firing", 5)].map((one) => model.take(known, one) !== null), [true, true, false]);
});

test("the whole site comes first, and a site without windows is there by its cameras", () => {
  const known = model.empty();
  for (const zone of ["hall", "_site", "gate"]) model.take(known, window({ zone }));
  model.take(known, { type: "CameraV1", site: "a", camera: "c", at: 1, state: "live" });
  assert.deepEqual(model.sites(known), [{ site: "a", zones: [] }, { site: "s", zones: ["_site", "gate", "hall"] }]);
});

test("what is null says why", () => {
  const bare = { persons: null, masked: null, rate: null, interval: null };
  assert.deepEqual(model.figure(window(), "rate"), { value: 0.5 });
  assert.deepEqual(model.figure(window({ ...bare, suppressed: "small-count" }), "rate"), { why: "small-count" });
  assert.deepEqual(model.figure(window({ ...bare, suppressed: "small-count" }), "coverage"), { value: 1 });
  assert.deepEqual(model.figure(window({ rate: null, interval: null }), "interval"), { why: "none-judged" });
  assert.deepEqual(model.figure(window({ interval: null }), "interval"), { why: "not-under-this-profile" });
  assert.deepEqual(model.figure(window({ coverage: null }), "coverage"), { why: "not-under-this-profile" });
});

test("a window is old once its successor is overdue", () => {
  const due = 10 * 60_000;
  assert.equal(model.oldSince(window(), due + 10_000), null);
  assert.equal(model.oldSince(window(), due + 31_000), due);
});

test("a site with a film that is over says so of its gaps", () => {
  const known = model.empty();
  for (const [site, state] of [["s", "live"], ["t", "ended"]]) model.take(known, { type: "CameraV1", site, camera: "c", at: 1, state });
  assert.deepEqual(["s", "t"].map((site) => model.hasFilm(known, site)), [false, true]);
});

test("nothing follows at a site whose films are all over", () => {
  const known = model.empty();
  const camera = (name, state) => model.take(known, { type: "CameraV1", site: "s", camera: name, at: 1, state });
  assert.equal(model.isOver(known, "s"), false);
  camera("a", "ended");
  assert.deepEqual([model.isOver(known, "s"), model.isOver(known, "t")], [true, false]);
  camera("b", "live");
  assert.equal(model.isOver(known, "s"), false);
});

test("history fills a trend, and says nothing against what came", () => {
  const known = model.empty();
  model.take(known, window({ start: 5 * MINUTE, end: 10 * MINUTE }));
  model.extend(known, "s/_site", [at(0), { ...at(1), rate: null, published: 0 }, { ...at(2), rate: null, published: 0 }]);
  const rates = known.trends.get("s/_site").map(({ rate, published }) => [rate, published]);
  assert.deepEqual(rates, [[0.5, 1], [0.5, 1], [null, 0]]);
});

const lifetime = (late = 0, pictures = 20, start = 0) => ({ start, end: start + 60e9, pictures, late });
const camera = (name, given) => ({ type: "CameraV1", site: "s", camera: name, at: 1, state: "live", lifetime: lifetime(), ...given });
/** What is promised of a camera that told of these windows one after the other, `[late, pictures]` each. */
function promised(windows, everyS = 60) {
  const known = model.empty();
  windows.forEach((one, index) => model.take(known, camera("a", { at: 1 + index, lifetime: lifetime(...one, index * everyS * 1e9) }), 1_000));
  return promise(cameras(known, "s", 2_000));
}

test("the promise is judged by the windows of ten minutes, once they have a hundred pictures", () => {
  assert.deepEqual(promised([[0, 50], [0, 49]]), { kept: null, few: 99, sinceMs: null });
  assert.deepEqual(promised([[0, 50], [1, 50]]), { camera: "a", pictures: 100, late: 1, kept: true });
  assert.equal(promised([[1, 50], [1, 50]]).kept, false);
  assert.deepEqual(promised([[100, 100], [1, 100]], 600), { camera: "a", pictures: 100, late: 1, kept: true });
});

test("a window that many reports tell of is counted once", () => {
  const known = model.empty();
  for (const at of [5, 6, 6, 4]) model.take(known, camera("a", { at, lifetime: lifetime(0, 60) }), 1_000);
  assert.equal(promise(cameras(known, "s", 2_000)).few, 60);
});

test("a camera that has not told of a window is not judged", () => {
  const known = model.empty();
  model.take(known, camera("a", { lifetime: null }), 1_000);
  assert.deepEqual(promise(cameras(known, "s", 2_000)), { kept: null, few: null, sinceMs: null });
});

test("the promise is that of the camera with the largest share of late pictures, of those that are up", () => {
  const known = model.empty();
  model.take(known, camera("a", { lifetime: lifetime(3, 200) }), 1_000);
  model.take(known, camera("b", { lifetime: lifetime(4, 500) }), 1_000);
  model.take(known, camera("c", { state: "stalled", lifetime: lifetime(400, 400) }), 1_000);
  model.take(known, camera("d", { lifetime: lifetime(0, 0) }), 1_000);
  const seen = cameras(known, "s", 2_000);
  assert.deepEqual(seen.map((one) => one.up), [true, true, false, true]);
  assert.deepEqual(promise(seen), { camera: "a", pictures: 200, late: 3, kept: false });
});

test("a camera that was not heard for long is not up, whenever the page was opened, and measures nothing", () => {
  const known = model.empty();
  const [days, offset] = [3 * 86_400_000, 3_600_000]; // the page's own clock is an hour behind
  model.take(known, camera("old", {}), 1_000);
  model.take(known, camera("stalled", { state: "stalled", lifetime: lifetime(0, 0) }), 2_000);
  model.take(known, camera("ended", { state: "ended" }), 500);
  model.take(known, camera("unknown", {}), NaN);
  const seen = cameras(known, "s", days, offset);
  assert.deepEqual(seen.map(({ camera: name, state, up, heardMs }) => [name, state, up, heardMs]), [
    ["ended", "ended", false, 500 + offset], ["old", "silent", false, 1_000 + offset], ["stalled", "silent", false, 2_000 + offset],
    ["unknown", "silent", false, null],
  ]);
  assert.deepEqual(promise(seen), { kept: null, few: null, sinceMs: 1_000 + offset });
  assert.deepEqual(promise([]), { kept: null, few: null, sinceMs: null });
  assert.equal(model.take(known, camera("old", {}), days - offset), null); // the same again: no news, but heard
  assert.equal(cameras(known, "s", days, offset)[1].up, true);
  model.take(known, camera("old", { at: 0 }), 2 * days); // an earlier one, in somebody's answer
  assert.equal(cameras(known, "s", days, offset)[1].heardMs, days);
});

test("what the newest profile does not publish is taken away", () => {
  const known = model.empty();
  const alert = { type: "AlertV1", site: "s", zone: "hall", rule: "r", state: "firing", end: 1, since: 1 };
  for (const one of [window(), window({ zone: "hall" }), window({ zone: "gone" }), alert]) model.take(known, one);
  known.gone.add("s/gone");
  assert.deepEqual([model.sites(known)[0].zones, model.alerts(known, "s", 2).length], [["_site", "hall"], 1]);
  model.take(known, window({ start: 5 * MINUTE, end: 25 * MINUTE, profile: "fr-2021-269" }));
  assert.deepEqual([model.sites(known)[0].zones, model.alerts(known, "s", 2).length], [["_site"], 0]);
  const trend = known.trends.get("s/_site").map((one) => profile.under("fr-2021-269", one));
  assert.deepEqual(trend.map(({ rate, suppressed }) => [rate, suppressed]), [[null, "not-under-this-profile"], [0.5, null]]);
});

test("a window of a laxer profile keeps its time, and shows no figure; of a stricter one it stays", () => {
  const lax = profile.under("fr-2021-269", at(0, { profile: "lab" }));
  assert.deepEqual([lax.start, lax.rate, lax.persons, lax.coverage, lax.suppressed], [0, null, null, null, "not-under-this-profile"]);
  for (const [now, then] of [["lab", "alerting"], ["alerting", "alerting"], ["alerting", "new"], ["new", "alerting"]]) {
    assert.equal(profile.under(now, at(0, { profile: then })).rate, 0.5, `${then} under ${now}`);
  }
  assert.equal(profile.under("alerting", window({ profiles: ["alerting", "lab"] })).rate, null);
  assert.equal(profile.profileOf(model.empty(), "s"), null);
});

test("what fires comes first, and what was resolved long ago is gone", () => {
  const known = model.empty();
  const alert = (rule, state, end) => ({ type: "AlertV1", site: "s", zone: "z", rule, state, end: end * model.MS });
  for (const one of [alert("a", "resolved", 90_000_000), alert("b", "firing", 1), alert("c", "resolved", 2)]) model.take(known, one);
  assert.deepEqual(model.alerts(known, "s", 90_000_001).map(({ rule }) => rule), ["b", "a"]);
});

test("the line breaks at a gap; gaps and withheld windows have boxes of their own", () => {
  const periods = [at(0), at(1), at(3, { rate: null, suppressed: "small-count" }), { ...at(4), rate: null, published: 0 }, at(5, { rate: 1 })];
  const shapes = layout(periods, 0, 30 * MINUTE);
  assert.equal(shapes.line, `M0 60L100 60L100 60L200 60M500 0L${WIDTH} 0`);
  assert.deepEqual(shapes.gaps, [{ x: 200, width: 100 }, { x: 400, width: 100 }]);
  assert.deepEqual(shapes.suppressed, [{ x: 300, width: 100 }]);
  assert.ok(shapes.band.startsWith(`M0 ${HEIGHT * 0.2}`.replace(/\.0$/, "")));
  assert.deepEqual(summary(periods), { windows: 5, suppressed: 1, gaps: 2, known: { last: 1, lowest: 0.5, highest: 1 } });
  assert.deepEqual(holes([]), []);
  assert.deepEqual(layout(periods, 0, 30 * MINUTE, false).gaps, [{ x: 400, width: 100 }]); // what was between them is not known
  assert.equal(summary([at(0), at(2)], false).gaps, 0);
});

test("a rule's bound is a line at its share", () => {
  assert.deepEqual(layout([at(0)], 0, 5 * MINUTE, true, [0.75, 0]).bounds, [HEIGHT / 4, HEIGHT]);
  assert.deepEqual(layout([at(0)], 0, 5 * MINUTE).bounds, []);
});

test("the period that is read is the one at a time, or the one before it", () => {
  const periods = [at(1), at(2), at(4)];
  assert.deepEqual([0, 5, 7, 12, 16, 99].map((minute) => placeOf(periods, minute * MINUTE)), [-1, 0, 0, 1, 1, 2]);
  assert.equal(placeOf([], 0), -1);
});

test("a window is read out with what was published of it, and nothing in the place of the rest", () => {
  const said = (given) => read(at(0, given), 0, "UTC").replace(/^.*?: /, "");
  assert.equal(said({}), "50% (20% to 80%), 10 people, 100% observed");
  assert.equal(said({ interval: null, coverage: null }), "50%, 10 people"); // a profile withholds these
  assert.equal(said({ persons: 1, interval: null, coverage: null }), "50%, 1 person");
});

test("a file for spreadsheets has what was published, and nothing in the place of what was withheld", () => {
  const periods = [at(0), at(1, { rate: null, interval: null, persons: null, suppressed: "small-count" }), { ...at(2), published: 0 }];
  for (const why of ["=HYPERLINK(1),\n-x", "-x", "+x", ""]) assert.ok(csv([at(0, { rate: null, suppressed: why })], "UTC").endsWith(",1,\r\n"));
  assert.deepEqual(csv(periods, "UTC").split("\r\n"), [
    "start,end,rate,interval_low,interval_high,persons,coverage,suppressed",
    "1970-01-01T00:00:00+00:00,1970-01-01T00:05:00+00:00,0.5,0.2,0.8,10,1,",
    "1970-01-01T00:05:00+00:00,1970-01-01T00:10:00+00:00,,,,,1,small-count",
    "",
  ]);
});

test("a file for spreadsheets has the site's times, wherever it is read, and the reader's decimal sign", () => {
  const zone = process.env.TZ;
  const files = ["en", "fr"].flatMap((language) => ["UTC", "Europe/Paris", "Asia/Tokyo"].map((TZ) => {
    process.env.TZ = TZ;
    choose([language]);
    return csv([at(0)], "Asia/Kathmandu", separator()).split("\r\n")[1];
  }));
  choose(["en"]);
  if (zone === undefined) delete process.env.TZ; else process.env.TZ = zone;
  assert.deepEqual([...new Set(files)], [
    "1970-01-01T05:30:00+05:30,1970-01-01T05:35:00+05:30,0.5,0.2,0.8,10,1,",
    "1970-01-01T05:30:00+05:30;1970-01-01T05:35:00+05:30;0,5;0,2;0,8;10;1;",
  ]);
});

test("both languages have the same words with the same places for values", () => {
  const places = (language) => Object.entries(LANGUAGES[language]).map(([key, one]) => [key, (one.match(/\{\w+\}/g) ?? []).sort()]);
  assert.deepEqual(Object.fromEntries(places("fr")), Object.fromEntries(places("en")));
  assert.deepEqual([chosen(["de-DE", "fr-CA"]), chosen(["de"]), chosen([])], ["fr", "en", "en"]);
  assert.equal(words("en", "gap.unheard-of"), null);
});

test("reasons for gaps have the server's words, in the reader's language; one without words is shown as it is", () => {
  const shown = () => ["en", "fr"].map((one) => (choose([one]), text("gap.paused")));
  learnGaps({}); // a copy of the page may have the config.json of an earlier version
  assert.deepEqual(shown(), ["paused", "paused"]);
  learnGaps({ en: { paused: "counting was paused" }, fr: { paused: "le comptage était en pause" }, it: { paused: "in pausa" } });
  assert.deepEqual(shown(), ["counting was paused", "le comptage était en pause"]);
  choose(["en"]);
});

test("numbers and times are the reader's and the site's", () => {
  choose(["fr"]);
  assert.equal(percent(0.125).replace(/\s/g, " "), "12,5 %");
  choose(["en"]);
  assert.equal(percent(0.5), "50%");
  assert.equal(text("gap.unheard-of"), "unheard-of");
  assert.deepEqual([59_000, 61_000, 7_200_000, 180_000_000].map(age), ["less than a minute", "1 min", "2 h", "2 d"]);
  const noon = Date.UTC(2026, 10, 25, 12);
  assert.equal(clock(noon, "Europe/Paris"), "13:00");
  assert.equal(clock(noon + 1_000, "Asia/Tokyo"), "21:00:01");
  assert.match(clock(noon, "Europe/Paris", noon + 86_400_000), /^25 Nov\D+13:00$/);
  assert.match(clock(noon, "Europe/Paris", noon + 86_400_000 * 365), /25 Nov 2026/);
  assert.match(clock(noon, "Asia/Tokyo", noon + 3 * 3_600_000), /25 Nov/); // there it is the 26th by then
});

