/** All metrics of a node: narrowing down, newest values as they arrive, a chart under a name at a click. */

import { Board } from "../../chart/assets/board.js";
import { json, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { live } from "../../shell/assets/live.js";
import { node, onHead, onSeen } from "./head.js";

const table = document.getElementById("metrics");
const find = /** @type {HTMLInputElement | null} */ (document.getElementById("find"));
const base = "/nodes/" + node.id;
/** @type {Map<string, Board>} */
const boards = new Map();

/** @param {HTMLButtonElement} button */
async function draw(button) {
  const name = button.dataset.metric ?? "";
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    boards.get(name)?.end();
    boards.delete(name);
    button.closest("tbody")?.querySelector(`tr.drawn[data-of="${CSS.escape(name)}"]`)?.remove();
    return;
  }
  const rows = [...(table?.querySelectorAll("tr[data-metric]") ?? [])].filter((r) => /** @type {HTMLElement} */ (r).dataset.metric === name);
  const tr = document.createElement("tr"), td = document.createElement("td");
  tr.className = "drawn";
  tr.dataset.of = name;
  td.colSpan = 4;
  tr.append(td);
  rows.at(-1)?.after(tr);
  const q = "metric=" + encodeURIComponent(name);
  try {
    const first = await json(base + "/data?" + q + location.search.replace("?", "&"));
    if (!tr.isConnected) return;
    boards.set(name, new Board(td, { data: base + "/data?" + q, stream: base + "/live?" + q, birth: node.birth }, first));
  } catch (e) {
    tr.remove();
    button.setAttribute("aria-expanded", "false");
    toast("The chart could not be read: " + (e instanceof Error ? e.message : e));
  }
}

table?.addEventListener("click", (ev) => {
  const b = ev.target instanceof Element ? ev.target.closest("button.draw") : null;
  if (b instanceof HTMLButtonElement) draw(b);
});

/** Hides what does not hold every word typed. */
function narrow() {
  const words = (find?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of table?.querySelectorAll("section") ?? []) {
    let some = false;
    for (const name of group.querySelectorAll("tbody")) {
      for (const tr of /** @type {NodeListOf<HTMLTableRowElement>} */ (name.querySelectorAll("tr[data-metric]"))) {
        const text = (tr.dataset.metric + " " + tr.cells[1].textContent).toLowerCase();
        const hit = words.every((w) => text.includes(w));
        tr.classList.toggle("gone", !hit);
        some ||= hit;
      }
    }
    group.hidden = !some;
  }
}

if (find) {
  find.hidden = false;
  find.addEventListener("input", narrow);
  onKey("f", "narrow down the metrics", () => find.focus());
}

let total = document.querySelectorAll("tr[data-metric]").length;
if (table) {
  const stream = live(base + "/live?all=1", {
    head: onHead,
    hello: () => undefined,
    values(/** @type {{ at: number, total: number, values: Record<string, string> }} */ d) {
      onSeen(d.at);
      for (const [id, text] of Object.entries(d.values)) {
        const row = document.getElementById(id);
        const cell = row?.querySelector(".mval");
        if (cell && cell.textContent !== text) cell.textContent = text;
        row?.classList.remove("old");
      }
      const count = document.getElementById("count");
      if (d.total > total && count) count.textContent = d.total - total + " new: load the page again to see them";
      total = Math.min(total, d.total) || d.total;
    },
    bye: () => stream.reopen(base + "/live?all=1&again=" + Date.now()),
  });
}
