/**
 * The points of one panel, and the arrays uPlot draws them from. Times come in Unix milliseconds; a point that is
 * not there is left out, so every line has its own times, and a hole stays a hole.
 */

/** @typedef {{ key: string, name: string, colour: number, t: number[], v: number[], lo: number[], hi: number[] }} Line */
/** @typedef {{ key: string, name?: string, colour?: number, v: (number | null)[], lo?: (number | null)[], hi?: (number | null)[] }} SentLine */
/**
 * What the server sends of a panel: `t` counts steps (ms) since `t0` (Unix ms).
 * @typedef {{ id: string, title: string, unit: string, max: number, floor: number, stack: boolean, rule: "sum" | "first" | "most", note: string,
 *   mono: boolean, hidden: number,
 *   fresh?: { Value: number, Note: string, At: number }, step: number, t0: number, t: number[], lines: SentLine[] }} SentPanel
 */
/** @typedef {(number | null | undefined)[]} Row */

export class Lines {
  constructor() {
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Map<string, Line>} */
    this.byKey = new Map();
  }

  /**
   * Takes a whole answer: what was there before is forgotten, except the colours.
   * @param {SentPanel} sent
   */
  set(sent) {
    this.lines = [];
    this.byKey = new Map();
    this.merge(sent);
  }

  /**
   * Takes newer points; a point at a time that is known replaces it (the last step is still filling).
   * @param {Pick<SentPanel, "lines" | "t" | "t0" | "step">} sent
   * @param {boolean} [known] leave lines out that are not here yet
   * @returns {boolean} whether a line was left out
   */
  merge(sent, known) {
    let left = false;
    for (const from of sent.lines) {
      let line = this.byKey.get(from.key);
      if (!line && known) {
        left = true;
        continue;
      }
      if (!line) {
        const taken = this.lines.some((l) => l.colour === from.colour);
        line = { key: from.key, name: from.name ?? from.key, colour: taken ? this.lines.length : from.colour ?? this.lines.length, t: [], v: [], lo: [], hi: [] };
        this.byKey.set(from.key, line);
        this.lines.push(line);
      }
      for (let i = 0; i < sent.t.length; i++) {
        const v = from.v[i];
        if (v === null || v === undefined) continue;
        put(line, sent.t0 + sent.t[i] * sent.step, v, from.lo?.[i] ?? v, from.hi?.[i] ?? v);
      }
    }
    return left;
  }

  /**
   * Forgets points before an instant, but keeps the last one before it so that the line comes in from the edge.
   * @param {number} before
   */
  trim(before) {
    for (const l of this.lines) {
      let n = 0;
      while (n + 1 < l.t.length && l.t[n + 1] < before) n++;
      if (n > 0) for (const a of [l.t, l.v, l.lo, l.hi]) a.splice(0, n);
    }
  }

  /** The newest instant of any line, or 0. */
  last() {
    return this.lines.reduce((m, l) => Math.max(m, l.t.at(-1) ?? 0), 0);
  }

  /** The oldest instant of any line, or 0. */
  first() {
    return this.lines.reduce((m, l) => (l.t.length ? (m ? Math.min(m, l.t[0]) : l.t[0]) : m), 0);
  }

  /** Whether any point stands for several values. */
  banded() {
    return this.lines.some((l) => l.hi.some((h, i) => h > l.lo[i]));
  }
}

/**
 * @param {Line} l
 * @param {number} t
 * @param {number} v
 * @param {number} lo
 * @param {number} hi
 */
function put(l, t, v, lo, hi) {
  let i = l.t.length;
  while (i > 0 && l.t[i - 1] >= t) i--;
  const replace = l.t[i] === t ? 1 : 0;
  l.t.splice(i, replace, t);
  l.v.splice(i, replace, v);
  l.lo.splice(i, replace, lo);
  l.hi.splice(i, replace, hi);
}

/**
 * The instants after which nothing was heard for so long that no line may be drawn. How long that is, the neighbours
 * say: a node measures every 10 s, or every second while somebody looks, and both are whole.
 * @param {number[]} t
 * @param {number} step of the answer, ms
 * @param {number} period of the node, ms
 */
export function gaps(t, step, period) {
  const out = [];
  for (let i = 0; i + 1 < t.length; i++) {
    const d = t[i + 1] - t[i];
    if (d <= 1.5 * step) continue;
    const before = i > 0 ? t[i] - t[i - 1] : d > 1.5 * period ? period : d;
    const after = i + 2 < t.length ? t[i + 2] - t[i + 1] : before;
    if (d > 1.5 * Math.max(step, Math.min(before, period), Math.min(after, period))) out.push(i);
  }
  return out;
}

/**
 * The arrays for uPlot: times in seconds first, then for each line its value, or value, least and greatest. `null`
 * breaks a line, `undefined` only says that this line has no point there. Stacked lines are summed from the first up.
 * @param {Line[]} lines
 * @param {{ step: number, period: number, stack: boolean, band: boolean }} how
 * @returns {{ rows: Row[], alone: number[][] }}
 */
export function arrays(lines, how) {
  /** @type {Set<number>} */
  const times = new Set();
  const broken = lines.map((l) => {
    const after = gaps(l.t, how.step, how.period);
    for (const t of l.t) times.add(t);
    for (const i of after) times.add(l.t[i] + 1);
    return after;
  });
  const x = [...times].sort((a, b) => a - b);
  const index = new Map(x.map((t, i) => [t, i]));
  /** @type {Row[]} */
  const rows = [x.map((t) => t / 1000)];
  /** @type {number[][]} */
  const alone = [];
  lines.forEach((l, n) => {
    const put = (/** @type {number[]} */ from) => {
      /** @type {Row} */
      const row = new Array(x.length).fill(undefined);
      l.t.forEach((t, i) => (row[/** @type {number} */ (index.get(t))] = from[i]));
      for (const i of broken[n]) row[/** @type {number} */ (index.get(l.t[i] + 1))] = null;
      return row;
    };
    rows.push(put(l.v));
    if (how.band) rows.push(put(l.lo), put(l.hi));
    alone.push(lonely(l.t, broken[n]).map((t) => /** @type {number} */ (index.get(t))));
  });
  if (how.stack) stack(rows);
  return { rows, alone };
}

/**
 * Points between two gaps have no segment; they are drawn as dots.
 * @param {number[]} t
 * @param {number[]} broken
 */
function lonely(t, broken) {
  const cut = new Set(broken);
  return t.filter((_, i) => (i === 0 || cut.has(i - 1)) && (i === t.length - 1 || cut.has(i)));
}

/** @param {Row[]} rows */
function stack(rows) {
  for (let i = 0; i < rows[0].length; i++) {
    const some = rows.some((r, n) => n > 0 && typeof r[i] === "number");
    const gap = rows.some((r, n) => n > 0 && r[i] === null);
    let sum = 0;
    for (let n = 1; n < rows.length; n++) {
      const v = rows[n][i];
      if (!some) rows[n][i] = gap ? null : undefined;
      else rows[n][i] = sum += v ?? 0;
    }
  }
}
