// A window over any number of checks: every piece of the table is a tbody, filled when it comes near the screen and emptied
// when it is far away, so that the page holds a few hundred rows however many there are.
import { part } from "../../shell/assets/api.js";
import { tick } from "../../shell/assets/time.js";

export class Rows {
  /**
   * @param {HTMLElement} box holds the table, and how many rows there are
   * @param {() => URLSearchParams} state what the list is of
   * @param {() => void} changed is called when other rows are on the page
   */
  constructor(box, state, changed) {
    this.box = box;
    this.state = state;
    this.changed = changed;
    this.total = Number(box.dataset.total);
    this.size = Number(box.dataset.chunk);
    this.table = box.querySelector("table");
    this.abort = new AbortController();
    this.observer = new IntersectionObserver((es) => this.crossed(es), { rootMargin: "1200px 0px" });
    this.lay(Number(box.dataset.from));
  }

  get height() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--crow")) || 30;
  }

  /**
   * Makes one tbody for each piece; those that came with the page keep their place.
   * @param {number} from index of the first row that came with the page
   */
  lay(from) {
    if (!this.table) return;
    const came = [...this.table.tBodies], first = Math.floor(from / this.size), pieces = Math.ceil(this.total / this.size);
    for (let i = 0; i < pieces; i++) {
      const there = came[i - first];
      const body = there ?? this.table.createTBody();
      body.dataset.i = String(i);
      if (i < first) this.table.insertBefore(body, came[0] ?? null);
      if (!there) this.empty(body);
      this.observer.observe(body);
    }
    if (first > 0) came[0]?.scrollIntoView();
  }

  stop() {
    this.observer.disconnect();
    this.abort.abort();
  }

  /** @param {HTMLTableSectionElement} body */
  empty(body) {
    const rows = Math.min(this.size, this.total - Number(body.dataset.i) * this.size);
    const tr = document.createElement("tr"), td = document.createElement("td");
    td.colSpan = 9;
    td.style.height = rows * this.height + "px";
    tr.append(td);
    tr.setAttribute("aria-hidden", "true");
    body.className = "gap";
    body.replaceChildren(tr);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  crossed(entries) {
    for (const e of entries) {
      const body = /** @type {HTMLTableSectionElement} */ (e.target);
      body.dataset.near = e.isIntersecting ? "1" : "";
      if (e.isIntersecting && body.className === "gap") this.fill(body);
      else if (!e.isIntersecting && body.className !== "gap" && !body.contains(document.activeElement)) this.empty(body);
    }
  }

  /** @param {HTMLTableSectionElement} body */
  async fill(body) {
    if (body.dataset.busy) return;
    body.dataset.busy = "1";
    try {
      const params = this.state();
      params.set("from", String(Number(body.dataset.i) * this.size));
      const res = await part("/checks/rows?" + params, this.abort.signal);
      const total = Number(res.headers.get("x-total"));
      const html = await res.text();
      if (body.dataset.near !== "" && body.isConnected) this.put(body, html);
      if (total !== this.total) this.resize(total);
      this.changed();
    } catch {
      if (!this.abort.signal.aborted) setTimeout(() => { if (body.dataset.near && body.className === "gap") this.fill(body); }, 2000);
    } finally {
      delete body.dataset.busy;
    }
  }

  /** @param {HTMLTableSectionElement} body @param {string} html */
  put(body, html) {
    const focused = body.contains(document.activeElement) ? document.activeElement?.closest("tr")?.id : "";
    body.className = "";
    body.innerHTML = html;
    if (focused) /** @type {HTMLElement | null} */ (document.getElementById(focused)?.querySelector(".nm a"))?.focus({ preventScroll: true });
    tick(body);
  }

  /** @param {number} total */
  resize(total) {
    this.total = total;
    this.box.dataset.total = String(total);
    this.table?.setAttribute("aria-rowcount", String(total));
    const pieces = Math.ceil(total / this.size);
    for (const body of [...(this.table?.tBodies ?? [])]) if (Number(body.dataset.i) >= pieces) body.remove();
    for (let i = this.table?.tBodies.length ?? 0; this.table && i < pieces; i++) {
      const body = this.table.createTBody();
      body.dataset.i = String(i);
      this.empty(body);
      this.observer.observe(body);
    }
  }

  /** Asks again for the pieces that are on the page. */
  async refresh() {
    await Promise.all([...(this.table?.tBodies ?? [])].filter((b) => b.className !== "gap").map((b) => this.fill(b)));
  }

  /** The rows that can be seen, in order, with the index of the first. */
  onScreen() {
    const top = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--bar-h")) || 0;
    /** @type {HTMLTableRowElement[]} */
    const rows = [];
    let from = -1;
    for (const body of this.table?.tBodies ?? []) {
      if (body.className === "gap") continue;
      const box = body.getBoundingClientRect();
      if (box.bottom < top || box.top > innerHeight) continue;
      const all = body.rows, height = box.height / Math.max(1, all.length);
      const first = Math.max(0, Math.floor((top - box.top) / height)), last = Math.min(all.length, Math.ceil((innerHeight - box.top) / height));
      for (let i = first; i < last; i++) {
        if (from < 0) from = Number(body.dataset.i) * this.size + i;
        rows.push(all[i]);
      }
    }
    return { from: Math.max(0, from), rows };
  }
}
