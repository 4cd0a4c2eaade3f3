/** Colours of the charts, read from the page's custom properties and read again when the theme changes. */

/** @typedef {{ ink: string, ink2: string, ink3: string, line: string, accent: string, none: string, panel: string, warn: string, crit: string, warnSoft: string, critSoft: string, c: string[] }} Theme */

const NAMES = ["--ink", "--ink-2", "--ink-3", "--line", "--accent", "--none", "--panel", "--warn", "--crit", "--warn-soft", "--crit-soft", "--c1", "--c2", "--c3", "--c4", "--c5"];

/** @type {Theme | undefined} */
let theme;
/** @type {Set<() => void>} */
const listeners = new Set();

/** A custom property holds light-dark(...) as text; only a colour of an element comes out resolved. */
function read() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const got = NAMES.map((name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  const [ink, ink2, ink3, line, accent, none, panel, warn, crit, warnSoft, critSoft, ...c] = got;
  theme = { ink, ink2, ink3, line, accent, none, panel, warn, crit, warnSoft, critSoft, c };
  return theme;
}

/** The colours as they are now. */
export function colours() {
  return theme ?? read();
}

/**
 * The same colour, thinner.
 * @param {string} colour rgb(r, g, b)
 * @param {number} alpha
 */
export function thin(colour, alpha) {
  const m = colour.match(/[\d.]+/g);
  return m ? `rgba(${m[0]}, ${m[1]}, ${m[2]}, ${alpha})` : colour;
}

/**
 * Calls back whenever the page turned dark or light.
 * @param {() => void} then
 */
export function onTheme(then) {
  listeners.add(then);
}

function changed() {
  theme = undefined;
  for (const then of listeners) then();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class", "style"] });
