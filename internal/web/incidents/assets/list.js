// The list of incidents asks for itself again when the stream says that something changed.
import { part } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";
import { live } from "../../shell/assets/live.js";
import { setServerNow } from "../../shell/assets/time.js";
import { DONE } from "./act.js";
import { once, swap } from "./swap.js";

const box = /** @type {HTMLElement} */ (document.getElementById("now"));
const renew = once(async () => swap(box, await (await part(box.dataset.now ?? "")).text()));

live("/incidents/live", { hello(d) { setServerNow(d.now); renew(); }, change: renew });
addEventListener(DONE, renew);

/** @param {number} by */
function move(by) {
  const links = /** @type {HTMLElement[]} */ ([...box.querySelectorAll(".i .t a")]);
  const row = document.activeElement?.closest(".i");
  const at = links.findIndex((a) => a.closest(".i") === row);
  links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))]?.focus();
}
onKey("j", "next incident", () => move(1));
onKey("k", "incident before", () => move(-1));
onKey("a", "acknowledge it", () => /** @type {HTMLElement | null} */ (document.activeElement?.closest(".i")?.querySelector("form button"))?.click());
