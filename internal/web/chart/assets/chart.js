/** One chart: uPlot in a figure, with its head (title, legend, newest value) and its words for those who can't see it. */

import { Lines, arrays } from "./lines.js";
import { noMarks, over, under } from "./marks.js";
import { colours, thin } from "./theme.js";
import { instant, labels, span, ticks } from "./time.js";
import { brief, roundUp, show, text, tick } from "./units.js";

/** @typedef {import("./lines.js").SentPanel} SentPanel */
/** @typedef {import("./lines.js").Line} Line */
/**
 * What a chart asks of the page it is on.
 * @typedef {object} Stage
 * @property {(from: Chart, at: number | null) => void} point the crosshair moved, to Unix ms or away
 * @property {(from: number, to: number) => void} zoom a span was dragged
 * @property {() => void} back the zoom is to be undone
 */
/** @typedef {{ from: number, to: number, step: number, period: number, now: number, live: boolean }} Window */

/** @typedef {import("../../shell/assets/vendor/uplot")} Plot */
/** uPlot comes as a classic script. @type {typeof import("../../shell/assets/vendor/uplot")} */
const UPlot = /** @type {any} */ (globalThis).uPlot;

const HEIGHT = 118;
const LEFT = 38;

/**
 * @param {string} tag
 * @param {string} [cls]
 * @param {string} [words]
 */
export function el(tag, cls, words) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (words !== undefined) e.textContent = words;
  return e;
}

export class Chart {
  /**
   * @param {HTMLElement} figure an empty section, or one the server filled
   * @param {SentPanel} spec
   * @param {Stage} stage
   */
  constructor(figure, spec, stage) {
    this.figure = figure;
    this.spec = spec;
    this.stage = stage;
    this.lines = new Lines();
    this.lines.set(spec);
    /** @type {Window} */
    this.window = { from: 0, to: 1, step: 1000, period: 10000, now: 1, live: false };
    this.top = 0;
    this.old = false;
    this.seen = true;
    this.stale = true;
    /** @type {Set<string>} */
    this.off = new Set();
    /** @type {Plot | null} */
    this.u = null;
    /** @type {Line[]} */
    this.drawn = [];
    this.shape = "";
    this.height = Number(figure.dataset.height) || (figure.closest("tr") ? 150 : HEIGHT);
    this.marks = noMarks();
    this.signed = "";
    this.headed = "";
    this.pointed = false;
    this.banded = false;
    /** @type {number[][]} */
    this.alone = [];
    /** @type {{ top: number, bottom: number }} */
    this.ranges = { top: 1, bottom: 0 };
    /** @type {{ at: number[], step: number }} */
    this.ticks = { at: [], step: 60000 };
    /** @type {number | undefined} where the keys put the crosshair */
    this.at = undefined;
    const { legend, number, plot, say, tip } = this.frame();
    this.legend = legend;
    this.number = number;
    this.plot = plot;
    this.say = say;
    this.tip = tip;
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(this.plot);
    this.views = new IntersectionObserver((seen) => {
      this.seen = seen.some((s) => s.isIntersecting);
      if (this.seen && this.stale) this.draw();
    }, { rootMargin: "200px" });
    this.views.observe(figure);
  }

  /**
   * Draws limits and times in which alarms fired into the chart, from the next show on.
   * @param {import("./marks.js").Marks} marks
   */
  mark(marks) {
    this.marks = marks;
  }

  /** Lets go of what watches the page. */
  end() {
    this.sizes.disconnect();
    this.views.disconnect();
    this.u?.destroy();
    this.u = null;
  }

  /** Makes the parts of the figure that the server did not make. */
  frame() {
    const f = this.figure;
    f.classList.add("panel", "ch");
    f.classList.toggle("mono-title", this.spec.mono);
    if (!f.querySelector("header")) {
      const head = el("header");
      head.append(el("h2", "", this.spec.title), el("span", "leg"), el("span", "now"));
      f.append(head, el("div", "plot"));
    }
    const q = (/** @type {string} */ s) => /** @type {HTMLElement} */ (f.querySelector(s));
    const plot = q(".plot");
    q("h2").title = this.spec.title;
    plot.tabIndex = 0;
    plot.setAttribute("role", "img");
    plot.addEventListener("keydown", (ev) => this.key(ev));
    plot.addEventListener("blur", () => this.stage.point(this, null));
    const say = f.appendChild(el("p", "vh"));
    say.setAttribute("aria-live", "polite");
    const tip = f.appendChild(el("div", "tip"));
    tip.hidden = true;
    return { legend: q(".leg"), number: q(".now"), plot, say, tip };
  }

  /** @param {SentPanel} sent a whole answer */
  set(sent) {
    this.spec = sent;
    this.lines.set(sent);
    this.top = 0;
  }

  /**
   * @param {SentPanel} sent newer points
   * @returns {boolean} whether there is a line that is not drawn yet
   */
  append(sent) {
    const left = this.lines.merge(sent, true);
    if (sent.fresh) this.spec.fresh = sent.fresh;
    if (sent.step < this.spec.step) this.spec.step = sent.step; // the node is measured more often now
    return left && !this.spec.hidden;
  }

  /** The number that is printed large: its value, what stands beside it, its instant. */
  current() {
    const f = this.spec.fresh;
    if (f && this.window.live) return { v: f.Value, note: f.Note, at: f.At };
    let v = NaN, note = this.spec.note, at = 0;
    for (const l of this.lines.lines) {
      if (!l.t.length) continue;
      const last = l.v[l.v.length - 1];
      const first = at === 0;
      if (first || (this.spec.rule === "most" && last > v)) {
        v = last;
        if (this.spec.rule === "most" && !this.spec.note && this.lines.lines.length > 1) note = l.name;
      } else if (this.spec.rule === "sum") v += last;
      at = Math.max(at, l.t[l.t.length - 1]);
    }
    return { v, note, at };
  }

  /** @param {Window} w */
  show(w) {
    this.window = w;
    const { v, note, at } = this.current();
    const age = w.now - at;
    const old = w.live && at > 0 && age > Math.max(2.5 * Math.max(w.period, this.spec.fresh ? 0 : this.spec.step), 10000);
    if (old !== this.old) this.stale = true;
    this.old = old;
    this.figure.classList.toggle("old", old);
    this.head(v, at ? note : "", at, age);
    this.stale = true;
    if (this.seen) this.draw();
  }

  /**
   * @param {number} v
   * @param {string} note
   * @param {number} at
   * @param {number} age
   */
  head(v, note, at, age) {
    const s = show(v, this.spec.unit);
    const percent = s.unit === "%";
    const unit = percent ? "" : s.unit;
    let after = note;
    if (this.old) after = (unit ? "· " : "") + span(age) + " old";
    else if (!this.window.live && at) after = "at " + instant(at, this.window.step);
    const big = s.text + (percent ? " %" : "");
    const sign = big + "\n" + unit + "\n" + after;
    if (this.headed !== sign) {
      this.headed = sign;
      this.number.replaceChildren(big, el("em", "", unit && " " + unit), el("em", "beside", after && " " + after));
    }
    if (!this.pointed) this.keys(null);
    this.plot.setAttribute("aria-label", this.words([big, unit, after].filter(Boolean).join(" ")));
  }

  /** @param {string} now */
  words(now) {
    let least = Infinity, most = -Infinity, count = 0;
    for (const l of this.lines.lines) for (let i = 0; i < l.t.length; i++) {
      if (l.t[i] < this.window.from) continue;
      least = Math.min(least, l.lo[i]);
      most = Math.max(most, l.hi[i]);
      count++;
    }
    const w = this.window;
    const when = instant(w.from, w.step) + " to " + instant(w.to, w.step);
    if (!count) return this.spec.title + ": no data from " + when + ".";
    const names = this.lines.lines.map((l) => l.name).join(", ");
    return `${this.spec.title} (${names}) from ${when}: ${this.window.live ? "now" : "last"} ${now}; least ${text(least, this.spec.unit)}, most ${text(most, this.spec.unit)}. Arrow keys read the points.`;
  }

  /**
   * The legend: names, or names with the values at an instant.
   * @param {number | null} at
   */
  keys(at) {
    const many = this.lines.lines.length > 4;
    const shown = many ? [...this.lines.lines].sort((a, b) => (b.v.at(-1) ?? 0) - (a.v.at(-1) ?? 0)).slice(0, 4) : this.lines.lines;
    const sign = shown.map((l) => l.key + (this.off.has(l.key) ? "-" : "")).join("\n") + this.lines.lines.length;
    if (sign !== this.signed) {
      this.signed = sign;
      this.legend.replaceChildren(...shown.map((l) => {
        const b = /** @type {HTMLButtonElement} */ (el("button", "key k" + (l.colour % 5)));
        b.type = "button";
        b.title = l.name;
        b.setAttribute("aria-pressed", String(!this.off.has(l.key)));
        b.append(el("i"), el("span", "", l.name), el("b"));
        b.addEventListener("click", () => this.toggle(l.key));
        return b;
      }));
      const rest = this.lines.lines.length - shown.length + this.spec.hidden;
      if (rest > 0) this.legend.append(el("span", "", "+" + rest));
      const alone = this.lines.lines.length < 2 && (!this.spec.mono || shown[0]?.name === this.spec.title);
      this.legend.classList.toggle("solo", alone);
    }
    [...this.legend.querySelectorAll("b")].forEach((b, i) => {
      const v = at === null ? null : valueAt(shown[i], at, this.reach());
      const t = v === null || v === undefined ? "" : brief(v, this.spec.unit);
      if (b.textContent !== t) b.textContent = t;
    });
  }

  /** @param {string} key */
  toggle(key) {
    if (!this.off.delete(key)) this.off.add(key);
    if (this.off.size === this.lines.lines.length) this.off.clear();
    this.signed = "";
    this.keys(null);
    this.top = 0;
    this.draw();
  }

  /** How far from a point the crosshair still means it. */
  reach() {
    return 1.5 * Math.max(this.spec.step, this.window.step, Math.min(this.window.period, (this.window.to - this.window.from) / 60));
  }

  /** The end of the scale. It grows at once and shrinks only when much of it is empty, so that it does not dance. */
  scaleTop() {
    if (this.spec.max) return this.spec.max;
    let most = 0;
    if (this.spec.stack) most = this.peakOfSum();
    else for (const l of this.drawn) for (let i = 0; i < l.t.length; i++) {
      if (l.t[i] >= this.window.from && l.t[i] <= this.window.to) most = Math.max(most, this.banded ? l.hi[i] : l.v[i]);
    }
    const want = roundUp(Math.max(most * 1.06, this.spec.floor, ...this.marks.limits.map((l) => l.v * 1.06)), this.spec.unit);
    if (want > this.top || want < this.top * 0.4 || this.top === 0) this.top = want;
    return this.top;
  }

  peakOfSum() {
    /** @type {Map<number, number>} */
    const sums = new Map();
    for (const l of this.drawn) l.t.forEach((t, i) => sums.set(t, (sums.get(t) ?? 0) + l.v[i]));
    return Math.max(0, ...sums.values());
  }

  /** The least value when any is negative, else 0. */
  scaleBottom() {
    let least = Math.min(0, ...this.marks.limits.map((l) => l.v));
    for (const l of this.drawn) for (const v of l.lo) least = Math.min(least, v);
    return least < 0 ? -roundUp(-least, this.spec.unit) : 0;
  }

  /** Draws what is there now; makes uPlot anew only when the lines are other ones. */
  draw() {
    if (this.plot.clientWidth === 0) return;
    this.stale = false;
    this.drawn = this.lines.lines.filter((l) => !this.off.has(l.key) && l.t.length > 0);
    this.banded = !this.spec.stack && this.drawn.length <= 3 && this.lines.banded();
    const made = arrays(this.drawn, { step: this.spec.step, period: this.window.period, stack: this.spec.stack, band: this.banded });
    this.alone = made.alone;
    this.plot.classList.toggle("empty-plot", this.drawn.length === 0);
    const shape = this.drawn.map((l) => l.key + l.colour).join("\n") + this.banded;
    this.ranges = { top: this.scaleTop(), bottom: this.scaleBottom() };
    if (!this.u || shape !== this.shape) {
      this.u?.destroy();
      this.shape = shape;
      this.u = new UPlot(this.options(), /** @type {any} */ (made.rows), this.plot);
      return;
    }
    this.u.batch(() => {
      this.u?.setData(/** @type {any} */ (made.rows), false);
      this.u?.setScale("x", { min: this.window.from / 1000, max: this.window.to / 1000 });
      this.u?.setScale("y", { min: this.ranges.bottom, max: this.ranges.top });
    });
  }

  /** Redraws with other colours. */
  repaint() {
    this.shape = "";
    this.stale = true;
    if (this.seen) this.draw();
  }

  fit() {
    const w = this.plot.clientWidth;
    if (w === 0) return;
    if (!this.u) this.draw();
    else if (this.u.width !== w) this.u.setSize({ width: w, height: this.height });
  }

  /** @returns {uPlot.Options} */
  options() {
    const font = "10px " + getComputedStyle(document.body).fontFamily;
    const quiet = () => colours().ink3;
    return {
      width: this.plot.clientWidth, height: this.height, padding: [6, 4, 0, 0], legend: { show: false }, ms: 1,
      tzDate: undefined,
      cursor: {
        drag: { x: true, y: false, setScale: false, dist: 6 }, y: false, focus: { prox: -1 },
        points: { size: 5, width: 0, stroke: () => "transparent", fill: (_u, i) => this.stroke(this.lineOf(i)) },
        bind: { dblclick: () => () => { this.stage.back(); return null; } },
      },
      scales: {
        x: { time: false, auto: false, range: () => [this.window.from / 1000, this.window.to / 1000] },
        y: { auto: false, range: () => [this.ranges.bottom, this.ranges.top] },
      },
      axes: [
        {
          size: 18, gap: 3, font, stroke: quiet, grid: { show: false }, ticks: { show: false }, border: { show: false },
          splits: (u) => this.instants(u),
          values: (_u, at) => labels(at.map((t) => t * 1000), this.ticks.step),
        },
        {
          size: LEFT, gap: 5, font, stroke: quiet, grid: { stroke: () => colours().line, width: 1 }, ticks: { show: false },
          splits: () => this.splits(), values: (_u, at) => at.map((v) => tick(v, this.spec.unit, this.ranges.top)),
        },
      ],
      series: [{}, ...this.series()], bands: this.bands(),
      hooks: {
        drawClear: [(u) => under(u, this.marks)],
        draw: [(u) => over(u, this.marks)],
        setCursor: [(u) => this.pointer(u)],
        setSelect: [(u) => this.selected(u)],
      },
    };
  }

  /**
   * Where the axis of time has labels: none so near an edge that it would be cut off or meet the other axis.
   * @param {Plot} u
   */
  instants(u) {
    const width = Math.max(1, u.width - LEFT);
    const { from, to } = this.window;
    const t = ticks(from, to, Math.min(10, Math.max(2, Math.floor(width / 72))));
    const edge = (t.step < 60_000 ? 24 : 17) * ((to - from) / width);
    this.ticks = { step: t.step, at: t.at.filter((at) => at - from > edge && to - at > edge * 0.75) };
    return this.ticks.at.map((at) => at / 1000);
  }

  splits() {
    const { top, bottom } = this.ranges;
    return bottom < 0 ? [bottom, 0, top] : [0, top / 2, top];
  }

  /** @param {number} i index of a series of uPlot */
  lineOf(i) {
    return this.drawn[this.banded ? Math.floor((i - 1) / 3) : i - 1];
  }

  /** @param {Line | undefined} l */
  stroke(l) {
    const c = colours();
    return this.old ? c.none : c.c[(l?.colour ?? 0) % c.c.length];
  }

  /** @returns {uPlot.Series[]} */
  series() {
    return this.drawn.flatMap((l, n) => {
      const points = { show: true, filter: () => this.alone[n] ?? [], size: 3.5, width: 0, fill: () => this.stroke(l), stroke: () => this.stroke(l) };
      /** @type {uPlot.Series} */
      const line = {
        scale: "y", width: this.spec.stack ? 0 : 1.4, stroke: () => this.stroke(l), points: /** @type {any} */ (points),
        dash: l.colour >= 5 ? [5, 3] : undefined, spanGaps: false,
      };
      if (this.spec.stack) line.fill = () => thin(this.stroke(l), this.old ? 0.75 / (n + 1) : 0.85);
      /** @type {uPlot.Series} */
      const edge = { scale: "y", width: 0, stroke: () => "transparent", points: { show: false }, spanGaps: false };
      return this.banded ? [line, edge, edge] : [line];
    });
  }

  /** @returns {uPlot.Band[]} */
  bands() {
    if (this.spec.stack) return this.drawn.slice(1).map((_, n) => ({ series: [n + 2, n + 1] }));
    if (!this.banded) return [];
    return this.drawn.map((l, n) => ({ series: [3 * n + 3, 3 * n + 2], fill: () => thin(this.stroke(l), 0.18) }));
  }

  /** @param {Plot} u */
  pointer(u) {
    const left = u.cursor.left ?? -1;
    // uPlot also calls when a chart is resized or redrawn under a crosshair that another chart put there.
    if (left >= 0 && this.at === undefined && !this.plot.matches(":hover")) return;
    this.stage.point(this, left < 0 ? null : u.posToVal(left, "x") * 1000);
  }

  /** @param {Plot} u */
  selected(u) {
    const { left, width } = u.select;
    if (width < 6) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.stage.zoom(u.posToVal(left, "x") * 1000, u.posToVal(left + width, "x") * 1000);
  }

  /**
   * Puts the crosshair at an instant, or takes it away.
   * @param {number | null} at
   * @param {boolean} own the pointer is on this chart: it says everything
   */
  point(at, own) {
    this.pointed = at !== null;
    this.figure.classList.toggle("pointed", this.pointed);
    if (!own && this.u) {
      const left = at === null ? -10 : this.u.valToPos(at / 1000, "x");
      this.u.setCursor({ left, top: -10 }, false);
    }
    this.keys(at);
    this.tooltip(own ? at : null);
  }

  /** @param {number | null} at */
  tooltip(at) {
    this.tip.hidden = at === null || this.lines.lines.length === 0;
    if (at === null || !this.u) return;
    const near = nearest(this.drawn, at) ?? at;
    const rows = this.drawn.map((l) => ({ l, v: valueAt(l, at, this.reach()), i: indexAt(l, at) }));
    if (!this.spec.stack) rows.sort((a, b) => (b.v ?? -1) - (a.v ?? -1));
    else rows.reverse();
    this.tip.replaceChildren(el("div", "tip-at", instant(near, Math.min(this.window.step, this.spec.step))), ...rows.map(({ l, v, i }) => {
      const row = el("div", "key k" + (l.colour % 5));
      const band = v !== null && l.hi[i] > l.lo[i] ? text(l.lo[i], this.spec.unit) + " to " + text(l.hi[i], this.spec.unit) : "";
      row.append(el("i"), el("span", "", l.name), el("b", "", v === null ? "no data" : text(v, this.spec.unit)), el("small", "", band));
      return row;
    }));
    const x = this.u.valToPos(at / 1000, "x") + LEFT + 10;
    const right = x > this.figure.clientWidth / 2;
    this.tip.style.left = right ? "auto" : x + 14 + "px";
    this.tip.style.right = right ? this.figure.clientWidth - x + 14 + "px" : "auto";
  }

  /** @param {KeyboardEvent} ev */
  key(ev) {
    const times = this.drawn[0]?.t ?? [];
    const inView = times.filter((t) => t >= this.window.from && t <= this.window.to);
    if (!inView.length) return;
    let i = this.at === undefined ? inView.length : inView.findIndex((t) => t >= (this.at ?? 0));
    if (ev.key === "ArrowLeft") i = Math.max(0, i - 1);
    else if (ev.key === "ArrowRight") i = Math.min(inView.length - 1, i + 1);
    else if (ev.key === "Home") i = 0;
    else if (ev.key === "End") i = inView.length - 1;
    else if (ev.key === "Escape") return this.leave();
    else if (ev.key === "+" || ev.key === "-") return this.zoomAt(inView[Math.min(i, inView.length - 1)], ev.key === "+" ? 0.5 : 2);
    else return;
    ev.preventDefault();
    this.at = inView[i];
    this.u?.setCursor({ left: this.u.valToPos(this.at / 1000, "x"), top: -10 }, true);
    const at = this.at;
    this.say.textContent = instant(at, this.window.step) + ": " + this.drawn.map((l) => l.name + " " + text(valueAt(l, at, this.reach()), this.spec.unit)).join(", ");
  }

  leave() {
    this.at = undefined;
    this.u?.setCursor({ left: -10, top: -10 }, true);
    this.stage.back();
  }

  /**
   * @param {number} at
   * @param {number} factor
   */
  zoomAt(at, factor) {
    const half = ((this.window.to - this.window.from) * factor) / 2;
    this.stage.zoom(at - half, Math.min(at + half, this.window.now));
  }
}

/**
 * @param {Line} l
 * @param {number} at
 */
function indexAt(l, at) {
  let lo = 0, hi = l.t.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (l.t[mid] < at) lo = mid + 1;
    else hi = mid;
  }
  return lo > 0 && (lo === l.t.length || at - l.t[lo - 1] < l.t[lo] - at) ? lo - 1 : lo;
}

/**
 * The value of the point nearest to an instant, if one is within reach.
 * @param {Line} l
 * @param {number} at
 * @param {number} reach
 */
function valueAt(l, at, reach) {
  const i = indexAt(l, at);
  return i < l.t.length && Math.abs(l.t[i] - at) <= reach ? l.v[i] : null;
}

/**
 * @param {Line[]} lines
 * @param {number} at
 */
function nearest(lines, at) {
  const l = lines[0];
  return l?.t[indexAt(l, at)];
}
