// What every page does: keys, ticking times, the theme.
import { arrive } from "./api.js";
import { onKey, startKeys } from "./keys.js";
import { startSearch } from "./search.js";
import { startTime } from "./time.js";

startTime();
startKeys();
arrive();

const search = /** @type {HTMLInputElement | null} */ (document.getElementById("q"));
if (search) {
  onKey("/", "search", () => { search.focus(); search.select(); });
  search.addEventListener("keydown", (ev) => { if (ev.key === "Escape") search.blur(); });
  startSearch(search);
}
const used = new Set();
for (const a of /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll("nav a[data-nav]"))) {
  const name = a.dataset.nav ?? "";
  const letter = [...name].find((c) => !used.has(c)) ?? name[0]; // Checks and Changelog begin alike
  used.add(letter);
  onKey("g " + letter, "go to " + (a.firstChild?.textContent ?? name), () => a.click());
}

const theme = document.getElementById("theme");
if (theme) {
  const choices = ["", "light", "dark"];
  const say = () => { theme.textContent = { light: "Light", dark: "Dark" }[document.documentElement.dataset.theme ?? ""] ?? "Auto"; theme.setAttribute("aria-label", "Theme: " + theme.textContent); };
  theme.hidden = false;
  say();
  theme.addEventListener("click", () => {
    const next = choices[(choices.indexOf(document.documentElement.dataset.theme ?? "") + 1) % choices.length];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    document.cookie = "muster_theme=" + next + ";path=/;max-age=" + (next ? 31536000 : 0) + ";samesite=lax";
    say();
    dispatchEvent(new CustomEvent("muster:theme"));
  });
}
