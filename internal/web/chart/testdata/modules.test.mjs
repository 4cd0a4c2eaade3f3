// What the browser modules compute, without a browser. Run by TestModules.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Lines, arrays, gaps } from "../assets/lines.js";
import { labels, span, ticks } from "../assets/time.js";
import { brief, roundUp, text, tick } from "../assets/units.js";

const table = JSON.parse(readFileSync(new URL("units.json", import.meta.url), "utf8"));

test("numbers read as the server writes them", () => {
  for (const [v, unit, want] of table) assert.equal(text(v, unit), want, `${v} ${unit}`);
  assert.equal(text(null, "By"), "—");
  assert.equal(text(NaN, "s"), "—");
});

test("axes end at round numbers", () => {
  assert.equal(roundUp(0.27, "share"), 0.3);
  assert.equal(roundUp(148e6, "By/s"), 150e6);
  assert.equal(roundUp(3.1 * 2 ** 30, "By"), 4 * 2 ** 30);
  assert.equal(roundUp(0, ""), 1);
  assert.equal(tick(75e6, "By/s", 150e6), "75M");
  assert.equal(tick(0.5, "share", 1), "50%");
  assert.equal(tick(0, "share", 1), "0%");
  assert.equal(tick(0.02, "s", 0.04), "20ms");
  assert.equal(brief(24.6e6, "bit/s"), "24.6M");
});

/** @param {number[]} t @param {number[]} v */
const sent = (t, v, extra = {}) => ({ id: "p", title: "", unit: "", max: 0, floor: 0, stack: false, rule: "first", note: "", mono: false, hidden: 0, step: 1000, t0: 0, t, lines: [{ key: "a", v }], ...extra });

test("a missing step is a gap, a change of pace is none", () => {
  const s = 1000;
  assert.deepEqual(gaps([0, 10 * s, 20 * s, 40 * s, 50 * s], 10 * s, 10 * s), [2]);
  assert.deepEqual(gaps([0, s, 2 * s, 4 * s, 5 * s], s, 10 * s), [2], "one second missing among seconds");
  assert.deepEqual(gaps([0, 10 * s, 20 * s, 21 * s, 22 * s], s, 10 * s), [], "from ten seconds to one");
  assert.deepEqual(gaps([0, s, 2 * s, 12 * s, 22 * s], s, 10 * s), [], "from one second to ten");
  assert.deepEqual(gaps([0, s, 2 * s, 32 * s, 33 * s], s, 10 * s), [2], "half a minute of nothing");
  assert.deepEqual(gaps([0, 60 * s, 180 * s], 60 * s, 10 * s), [1], "a wide step without data");
  assert.deepEqual(gaps([0], s, s), []);
  assert.deepEqual(gaps([0, 30 * s], s, 10 * s), [0]);
});

test("a gap breaks its own line only", () => {
  const lines = new Lines();
  lines.merge(sent([0, 1, 2, 10, 11], [1, 2, 3, 4, 5], { lines: [{ key: "a", v: [1, 2, null, 4, 5] }, { key: "b", v: [1, 2, 3, 4, 5] }] }));
  const { rows } = arrays(lines.lines, { step: 1000, period: 1000, stack: false, band: false });
  assert.deepEqual(rows[0], [0, 1, 1.001, 2, 2.001, 10, 11]);
  assert.deepEqual(rows[1], [1, 2, null, undefined, undefined, 4, 5]);
  assert.deepEqual(rows[2], [1, 2, undefined, 3, null, 4, 5]);
});

test("a point between two gaps is drawn as a dot", () => {
  const lines = new Lines();
  lines.merge(sent([0, 1, 30, 60, 61], [1, 2, 3, 4, 5]));
  const { rows, alone } = arrays(lines.lines, { step: 1000, period: 1000, stack: false, band: false });
  assert.deepEqual(alone[0].map((i) => rows[0][i]), [30]);
});

test("stacked lines are sums, and gaps stay gaps", () => {
  const lines = new Lines();
  lines.merge(sent([0, 1, 9], [1, 1, 1], { lines: [{ key: "a", v: [1, 2, 3] }, { key: "b", v: [10, null, 30] }] }));
  const { rows } = arrays(lines.lines, { step: 1000, period: 1000, stack: true, band: false });
  assert.deepEqual(rows[1], [1, null, 2, null, 3]);
  assert.deepEqual(rows[2], [11, null, 2, null, 33]);
});

test("newer points replace the step that was still filling", () => {
  const lines = new Lines();
  lines.merge(sent([0, 1, 2], [1, 2, 3]));
  lines.merge(sent([1, 2, 3], [2, 3.5, 4]));
  assert.deepEqual(lines.lines[0].t, [0, 1000, 2000, 3000]);
  assert.deepEqual(lines.lines[0].v, [1, 2, 3.5, 4]);
  assert.equal(lines.merge(sent([0], [9], { lines: [{ key: "new", v: [9] }] }), true), true);
  assert.equal(lines.lines.length, 1, "a line that was left out came in by the stream");
  lines.trim(2500);
  assert.deepEqual(lines.lines[0].t, [2000, 3000], "the point before the edge leads the line in");
});

test("labels of time say what changed", () => {
  const at = new Date(2026, 10, 24, 23, 51, 10).getTime();
  const t = ticks(at - 60_000, at, 4);
  assert.ok(t.at.length >= 3 && t.at.length <= 5);
  assert.deepEqual(labels([at, at + 10_000, at + 50_000], 10_000), ["23:51:10", ":20", "23:52:00"]);
  const day = ticks(at - 30 * 86400_000, at, 6);
  for (const d of day.at) assert.equal(new Date(d).getHours(), 0);
  assert.equal(span(12_000), "12 s");
  assert.equal(span(240_000), "4 min");
});
