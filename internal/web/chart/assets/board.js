/**
 * All charts of a page: one time range (the address is its state), one crosshair, one stream of new points.
 *
 * The page gives `data` (a path that answers with points for ?range= or ?from=&to=) and `stream` (Server-Sent Events
 * with newer ones). The first answer lies in the page itself.
 */

import { json, toast } from "../../shell/assets/api.js";
import { live } from "../../shell/assets/live.js";
import { serverNow, setServerNow } from "../../shell/assets/time.js";
import { Chart } from "./chart.js";
import { onTheme } from "./theme.js";
import { instant } from "./time.js";

/** @typedef {import("./lines.js").SentPanel} SentPanel */
/** @typedef {{ now: number, from: number, to: number, period: number, panels: SentPanel[] }} Sent */
/** @typedef {{ data: string, stream: string, birth: number, extra?: Record<string, (data: any) => void>, seen?: (at: number) => void }} Page */

const MINUTE = 60_000;
/** @type {Record<string, number>} */
const WIDTHS = { "15m": 15 * MINUTE, "1h": 60 * MINUTE, "6h": 360 * MINUTE, "24h": 1440 * MINUTE, "7d": 10080 * MINUTE, "30d": 43200 * MINUTE };
const FIRST = "15m";
/** What a node opens on that was born just now. */
const LEAST = 20_000;
/** How many points a chart is asked for; a wide screen has three charts of about this many pixels. */
const POINTS = 480;

/** The range in the address. */
export function rangeOf(/** @type {string} */ search) {
  const q = new URLSearchParams(search);
  const from = Number(q.get("from")), to = Number(q.get("to"));
  if (q.has("from") && to > from) return { name: "", from, to };
  const name = q.get("range") ?? "";
  return { name: name in WIDTHS ? name : FIRST, from: 0, to: 0 };
}

export class Board {
  /**
   * @param {HTMLElement} root where the charts stand; sections with data-panel are used, others are made
   * @param {Page} page
   * @param {Sent} first
   */
  constructor(root, page, first) {
    this.root = root;
    this.page = page;
    /** @type {Map<string, Chart>} */
    this.charts = new Map();
    this.range = rangeOf(location.search);
    this.sent = first;
    this.stack = /** @type {string[]} */ ([]);
    setServerNow(first.now);
    this.take(first);
    this.listen();
    this.moved = () => this.go();
    addEventListener("popstate", this.moved);
    onTheme(() => this.charts.forEach((c) => c.repaint()));
    this.clock = setInterval(() => document.hidden || this.age(), 1000);
    this.bar();
  }

  /** @param {Sent} sent a whole answer */
  take(sent) {
    this.sent = sent;
    this.fetched = Date.now();
    const before = new Set(this.charts.keys());
    for (const p of sent.panels) {
      before.delete(p.id);
      const there = this.charts.get(p.id);
      if (there) there.set(p);
      else this.charts.set(p.id, new Chart(this.place(p), p, this));
    }
    for (const id of before) {
      this.charts.get(id)?.figure.remove();
      this.charts.delete(id);
    }
    this.show();
  }

  /** @param {SentPanel} p */
  place(p) {
    const there = /** @type {HTMLElement | null} */ (this.root.querySelector(`[data-panel="${CSS.escape(p.id)}"]`));
    if (there) return there;
    const made = document.createElement("section");
    made.dataset.panel = p.id;
    this.root.append(made);
    return made;
  }

  /** The newest instant of any chart, or 0. */
  last() {
    return [...this.charts.values()].reduce((m, c) => Math.max(m, c.lines.last()), 0);
  }

  /**
   * The window that is drawn. A live one ends at the newest point, so that lines touch the edge, unless the points are
   * late: then it ends now, and the hole is seen growing.
   */
  window() {
    const now = serverNow();
    const step = this.step();
    const base = { step, period: this.sent.period, now };
    if (!this.range.name) return { ...base, from: this.range.from, to: this.range.to, live: false };
    const last = this.last();
    const to = last && now - last < 2.5 * Math.max(step, this.sent.period) ? last : now;
    let width = WIDTHS[this.range.name];
    if (this.range.name === FIRST && this.page.birth) width = Math.min(width, Math.max(LEAST, to - this.page.birth));
    return { ...base, from: to - width, to, live: true };
  }

  /** The distance of points that the charts have. */
  step() {
    return Math.min(...[...this.charts.values()].map((c) => c.spec.step), 3600_000);
  }

  show() {
    const w = this.window();
    for (const c of this.charts.values()) {
      if (w.live) c.lines.trim(w.from);
      c.show(w);
    }
  }

  /** Time passes although nothing arrives: numbers turn old. */
  age() {
    if (this.range.name && serverNow() - this.last() > 3000) this.show();
  }

  /** Opens the stream when the range moves, closes it when it stands still. */
  listen() {
    const handlers = { points: (/** @type {Sent} */ d) => this.append(d), bye: () => this.again(), ...this.page.extra };
    if (this.stream) this.stream.reopen(this.streamURL());
    else this.stream = live(this.streamURL(), handlers);
  }

  /** Opens the stream anew: the server asked for it. */
  again() {
    this.turn = (this.turn ?? 0) + 1;
    this.listen();
  }

  /** Lets go of everything. */
  end() {
    this.stream?.close();
    this.asked?.abort();
    clearInterval(this.clock);
    removeEventListener("popstate", this.moved);
    this.charts.forEach((c) => c.end());
  }

  streamURL() {
    const q = new URLSearchParams(this.turn ? { turn: String(this.turn) } : {});
    if (this.range.name) q.set("range", this.range.name);
    else q.set("still", "1");
    q.set("points", String(POINTS));
    return this.page.stream + (this.page.stream.includes("?") ? "&" : "?") + q;
  }

  /** @param {Sent} sent newer points */
  append(sent) {
    setServerNow(sent.now);
    if (!this.range.name) return;
    let strange = false;
    for (const p of sent.panels) {
      const c = this.charts.get(p.id);
      if (!c || c.append(p)) strange = true;
    }
    this.page.seen?.(this.last());
    const w = this.window();
    const crowded = (w.to - w.from) / this.step() > 2.2 * POINTS;
    if ((strange || crowded) && Date.now() - (this.fetched ?? 0) > 10_000) this.load();
    else this.show();
  }

  /** Asks for the whole range anew. */
  async load() {
    this.fetched = Date.now();
    this.asked?.abort();
    const asked = (this.asked = new AbortController());
    const q = new URLSearchParams(this.range.name ? { range: this.range.name } : { from: String(this.range.from), to: String(this.range.to) });
    q.set("points", String(POINTS));
    this.root.setAttribute("aria-busy", "true");
    try {
      const sent = await json(this.page.data + (this.page.data.includes("?") ? "&" : "?") + q, { signal: asked.signal });
      setServerNow(sent.now);
      this.take(sent);
    } catch (e) {
      if (!asked.signal.aborted) toast("The charts could not be read: " + (e instanceof Error ? e.message : e), { label: "Try again", run: () => this.load() });
    } finally {
      if (this.asked === asked) this.root.removeAttribute("aria-busy");
    }
  }

  /** Shows what the address says. */
  go() {
    this.range = rangeOf(location.search);
    this.bar();
    this.listen();
    this.load();
  }

  /**
   * @param {Record<string, string>} range
   */
  visit(range) {
    const q = new URLSearchParams(location.search);
    for (const name of ["range", "from", "to"]) q.delete(name);
    for (const [k, v] of Object.entries(range)) q.set(k, v);
    history.pushState(null, "", location.pathname + (q.size ? "?" + q : ""));
    this.go();
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  zoom(from, to) {
    const least = Math.max(5000, 4 * this.step());
    const mid = (from + to) / 2;
    const half = Math.max(least, to - from) / 2;
    this.visit({ from: String(Math.round(mid - half)), to: String(Math.round(mid + half)) });
  }

  back() {
    if (!this.range.name) this.visit(this.named ? { range: this.named } : {});
  }

  /**
   * @param {Chart} from
   * @param {number | null} at
   */
  point(from, at) {
    if (this.pointing) return;
    this.pointing = true;
    for (const c of this.charts.values()) c.point(at, c === from);
    this.pointing = false;
  }

  /** The choice of ranges: marks the one that is shown, and says which span a zoom is. */
  bar() {
    if (this.range.name) this.named = this.range.name;
    for (const a of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("[data-range]"))) {
      if (a.dataset.range === this.range.name) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
      if (!a.onclick) a.onclick = (ev) => {
        if (ev.metaKey || ev.ctrlKey || ev.shiftKey) return;
        ev.preventDefault();
        this.visit({ range: a.dataset.range ?? FIRST });
      };
    }
    const out = /** @type {HTMLElement | null} */ (document.getElementById("zoomed"));
    if (!out) return;
    out.hidden = Boolean(this.range.name);
    out.textContent = instant(this.range.from, 1000) + " – " + instant(this.range.to, 1000) + " ×";
    out.onclick = () => this.back();
  }
}
