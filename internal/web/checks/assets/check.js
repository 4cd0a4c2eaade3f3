/** The page of one check: its charts, its state and history as results arrive, and what one can do with it. */

import { Board } from "../../chart/assets/board.js";
import { json, leave, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { tick } from "../../shell/assets/time.js";
import { copyable, picture, words } from "./shown.js";

const head = /** @type {HTMLElement} */ (document.getElementById("check"));
const id = head.dataset.check ?? "", base = "/checks/" + id, call = "/v1/checks/" + id;
const charts = /** @type {HTMLElement} */ (document.getElementById("charts"));
const rowsKept = 50;

/** @param {{ html: string }} d rows for the top of the history */
function addLines(d) {
  const body = /** @type {HTMLTableSectionElement | null} */ (document.getElementById("lines"));
  if (!body || body.dataset.old !== undefined) return;
  const box = document.createElement("tbody");
  box.innerHTML = d.html;
  body.prepend(...box.rows);
  while (body.rows.length > rowsKept) body.deleteRow(-1);
  document.getElementById("nolines")?.remove();
  const table = body.closest("table");
  if (table) table.hidden = false;
  tick(body);
}

/** @param {{ html: string, enabled: boolean }} d */
function onNow(d) {
  const box = document.getElementById("now");
  if (box) {
    box.innerHTML = d.html;
    tick(box);
  }
  paint(d.enabled);
  if (!board.charts.size) board.load().then(() => { if (board.charts.size) document.getElementById("none")?.remove(); });
}

const board = new Board(charts, {
  data: base + "/data", stream: base + "/live", birth: Number(head.dataset.birth),
  extra: { now: onNow, lines: addLines, gone: () => leave("/checks", (head.dataset.name ?? "It") + " was deleted.") },
}, JSON.parse(document.getElementById("data")?.textContent ?? "{}"));
["15m", "1h", "6h", "24h", "7d", "30d"].forEach((range, i) => onKey(String(i + 1), "show " + range, () => board.visit({ range })));
onKey("Escape", "leave the zoom", () => board.back());

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("form.acts"));
const run = /** @type {HTMLButtonElement | null} */ (document.getElementById("run"));
const toggle = /** @type {HTMLButtonElement | null} */ (document.getElementById("switch"));

/** @param {boolean} enabled */
function paint(enabled) {
  if (!toggle) return;
  toggle.value = enabled ? "off" : "on";
  toggle.textContent = enabled ? "Switch off" : "Switch on";
}

async function runNow() {
  if (!run || run.disabled) return;
  run.disabled = true;
  run.textContent = "Running …";
  try {
    const { name, kind, config, period, timeout, zones } = await json(call);
    const result = await json("/v1/checks/test", { method: "POST", body: { name, kind, config, period, timeout, zones } });
    await picture(/** @type {HTMLElement} */ (document.getElementById("tried")), result, "Just now", "only tried: it is not part of the history");
  } catch (e) {
    toast(words(e));
  } finally {
    run.disabled = false;
    run.textContent = "Run now";
  }
}

/** @param {boolean} enabled */
async function turn(enabled) {
  try {
    await json(call, { method: "PATCH", body: { enabled }, headers: { "content-type": "application/merge-patch+json" } });
    paint(enabled);
    toast(enabled ? "Switched on." : "Switched off: nothing runs and nobody is told.", { label: "Undo", run: () => turn(!enabled) });
  } catch (e) {
    toast(words(e));
  }
}

form?.addEventListener("submit", (ev) => {
  ev.preventDefault();
  const what = /** @type {HTMLButtonElement | null} */ (ev.submitter)?.value;
  if (what === "test") runNow();
  else turn(what === "on");
});
if (run) onKey("t", "run it now", runNow);
if (form) onKey("e", "edit", () => location.assign(base + "/edit"));

const gone = /** @type {HTMLFormElement | null} */ (document.getElementById("delete"));
gone?.addEventListener("submit", async (ev) => {
  ev.preventDefault();
  const field = /** @type {HTMLInputElement} */ (gone.elements.namedItem("confirm"));
  if (field.value.trim() !== head.dataset.name) {
    toast("Nothing was deleted: the name typed is not " + head.dataset.name + ".");
    field.focus();
    return;
  }
  try {
    board.end();
    await json(call, { method: "DELETE" });
    leave("/checks", head.dataset.name + " was deleted.");
  } catch (e) {
    toast(words(e));
  }
});

for (const box of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".copy"))) copyable(box);
