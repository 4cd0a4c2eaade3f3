// The overview asks for itself again when the stream says that something changed.
import { part } from "../../shell/assets/api.js";
import { live } from "../../shell/assets/live.js";
import { tick } from "../../shell/assets/time.js";

const box = /** @type {HTMLElement} */ (document.getElementById("now"));
let busy = false, again = false, last = box.innerHTML;

async function renew() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const res = await part("/overview/now");
    if (res.headers.get("x-view") !== box.dataset.view) { location.reload(); return; }
    const html = await res.text();
    // Nobody's typing is thrown away.
    if (html !== last && !box.querySelector("input:focus")) {
      last = html;
      const focus = box.contains(document.activeElement) ? document.activeElement?.id : "";
      box.innerHTML = html;
      tick(box);
      if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
    }
  } catch { /* the next change asks again */ } finally {
    busy = false;
    if (again) { again = false; setTimeout(renew, 1000); }
  }
}

live("/overview/live", { change: renew });
addEventListener("muster:done", renew); // somebody took an incident here
