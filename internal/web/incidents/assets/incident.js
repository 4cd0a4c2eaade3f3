// The page of one incident: its parts are asked for again when the stream says so, its charts while it lasts.
import { Chart } from "../../chart/assets/chart.js";
import { onTheme } from "../../chart/assets/theme.js";
import { json, part, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { live } from "../../shell/assets/live.js";
import { serverNow, setServerNow } from "../../shell/assets/time.js";
import { DONE } from "./act.js";
import { once, swap, times } from "./swap.js";

/** @typedef {import("../../chart/assets/lines.js").SentPanel} SentPanel */
/** @typedef {import("../../chart/assets/marks.js").Marks} Marks */
/** @typedef {{ live: boolean, from: number, to: number, marks: Record<string, Marks>, data: { now: number, period: number, panels: SentPanel[] } }} Sent */

const root = /** @type {HTMLElement} */ (document.getElementById("incident"));
const base = root.dataset.base ?? "";
times(root);

const renew = once(async () => {
  const made = document.createElement("template");
  made.innerHTML = await (await part(base + "/now")).text();
  for (const fresh of /** @type {NodeListOf<HTMLElement>} */ (made.content.querySelectorAll("[data-live]"))) {
    const there = /** @type {HTMLElement | null} */ (root.querySelector(`[data-live="${fresh.dataset.live}"]`));
    if (there) swap(there, fresh.innerHTML);
  }
});

onKey("a", "acknowledge it", () => document.getElementById("take")?.click());
onKey("c", "comment", () => document.getElementById("say")?.focus());

/** The charts: one window of time, that of the incident, or the one that was dragged. */
class Plots {
  /** @param {HTMLElement} box @param {Sent} first */
  constructor(box, first) {
    /** @type {Map<string, Chart>} */
    this.charts = new Map();
    for (const p of first.data.panels) {
      const figure = /** @type {HTMLElement | null} */ (box.querySelector(`[data-panel="${p.id}"]`));
      if (figure) this.charts.set(p.id, new Chart(figure, p, this));
    }
    /** @type {{ from: number, to: number } | null} */
    this.zoomed = null;
    this.pointing = false;
    this.sent = first;
    this.show();
    this.load = once(() => this.ask());
    this.leave = /** @type {HTMLElement | null} */ (document.getElementById("zoom"));
    this.leave?.querySelector("button")?.addEventListener("click", () => this.back());
    onTheme(() => this.charts.forEach((c) => c.repaint()));
    setInterval(() => { if (!document.hidden && this.sent.live) this.load(); }, 5000);
    setInterval(() => { if (!document.hidden && this.sent.live) this.show(); }, 1000);
  }

  show() {
    const { sent, zoomed } = this;
    const now = serverNow();
    const step = Math.min(...sent.data.panels.map((p) => p.step), 3600_000);
    const last = Math.max(0, ...[...this.charts.values()].map((c) => c.lines.last()));
    let { from, to } = zoomed ?? sent;
    if (sent.live && !zoomed) to = last && now - last < 2.5 * Math.max(step, sent.data.period) ? last : now;
    for (const [id, c] of this.charts) {
      c.mark(sent.marks[id] ?? { limits: [], spans: [] });
      c.show({ from, to, step, period: sent.data.period, now, live: sent.live && !zoomed });
    }
  }

  async ask() {
    const q = this.zoomed ? "?from=" + Math.round(this.zoomed.from) + "&to=" + Math.round(this.zoomed.to) : "";
    /** @type {Sent} */
    const sent = await json(base + "/data" + q);
    setServerNow(sent.data.now);
    this.sent = sent;
    for (const p of sent.data.panels) this.charts.get(p.id)?.set(p);
    this.show();
  }

  /** @param {Chart} from @param {number | null} at */
  point(from, at) {
    if (this.pointing) return;
    this.pointing = true;
    for (const c of this.charts.values()) c.point(at, c === from);
    this.pointing = false;
  }

  /** @param {number} from @param {number} to */
  async zoom(from, to) {
    const mid = (from + to) / 2, half = Math.max(to - from, 10_000) / 2;
    this.zoomed = { from: mid - half, to: mid + half };
    if (this.leave) this.leave.hidden = false;
    try { await this.ask(); } catch (e) { toast("The charts could not be read: " + (e instanceof Error ? e.message : e)); }
  }

  back() {
    if (!this.zoomed) return;
    this.zoomed = null;
    if (this.leave) this.leave.hidden = true;
    this.load();
  }
}

const box = document.getElementById("charts"), data = document.getElementById("data");
/** @type {Plots | null} */
let plots = null;
if (box && data) {
  const first = JSON.parse(data.textContent ?? "");
  setServerNow(first.data.now);
  plots = new Plots(box, first);
  onKey("Escape", "leave the zoom", () => plots?.back());
}

function changed() {
  renew();
  plots?.load();
}
live(base + "/live", { hello(d) { setServerNow(d.now); renew(); }, change: changed });
addEventListener(DONE, renew);
