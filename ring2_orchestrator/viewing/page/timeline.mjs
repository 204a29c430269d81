// The ledger as a time line: how long every run took, and below it the entries, newest first.
import { Outcome, Title, Waiting, ask, count, html, kindOf, percent, seconds, time, useEffect, useMemo, useRef, useState } from "./dom.mjs";
import { Plot } from "./plot.mjs";
import { Rows } from "./rows.mjs";

const FIRST = 200, MORE = 2500, EVERY_MS = 4000;
const KINDS = ["recorded", "reused", "failed", "doubtful"];
const NAMES = { recorded: "recorded", reused: "reused", failed: "failed", doubtful: "not reusable" };

export function Timeline({ shown }) {
  const { home, entries, error } = useLedger(shown);
  const [words, setWords] = useState("");
  const [kind, setKind] = useState("");
  const [range, setRange] = useState(null);
  const chosen = useMemo(() => filtered(entries, words, kind, range), [entries, words, kind, range]);
  const whole = home && entries.length === home.entries;
  const drawn = useMemo(() => (whole ? plotted(entries) : null), [entries, whole]);
  const place = useRef({ top: 0, active: 0 });
  if (!shown) return null;
  if (!home) return html`<${Title}>Time line<//><${Waiting} error=${error} />`;
  return html`
    <${Title}>Time line<//>
    <p class="quiet">
      ${count(home.ledger.size)} ${home.ledger.size === 1 ? "entry" : "entries"} in ${home.home}${
        home.first ? `, the newest ${count(home.entries)} of them shown` : ""}${
        whole ? "" : ` … ${count(entries.length)} read`}
    </p>
    ${entries.length > 0 && html`<${Sums} entries=${whole ? entries : null} />`}
    ${error && html`<p role="alert" class="refused">${error}</p>`}
    <div class="chart">${drawn && drawn[0].length > 1 && html`<${Chart} data=${drawn} entries=${entries} onRange=${setRange} />`}</div>
    <form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <label>Command holds <input type="search" value=${words} placeholder="make, clean.py, …"
        onInput=${(event) => setWords(event.target.value)} /></label>
      <label>Only <select value=${kind} onChange=${(event) => setKind(event.target.value)}>
        <option value="">everything</option>
        ${KINDS.map((one) => html`<option value=${one}>${`runs: ${NAMES[one]}`}</option>`)}
        <option value="other">entries that are no runs</option>
      </select></label>
      <p class="found" role="status">${count(chosen.length)} shown${range ? ", in the time drawn" : ""}</p>
    </form>
    ${chosen.length
      ? html`${HEADS}<${Rows} entries=${chosen} row=${Row} place=${place.current} label="Entries of the ledger, newest first" />`
      : html`<p>${entries.length ? "None of them is such." : "No run is in the ledger yet: `redoxa run -- COMMAND` makes one."}</p>`}`;
}

function Row({ entry }) {
  return html`
    <time>${time(entry.ms)}</time>
    <span class="id">${entry.id ?? `@${entry.seq}`}</span>
    <span class="how">${entry.outcome
      ? html`<${Outcome} outcome=${entry.outcome} exit=${entry.exit} />`
      : html`<span class="badge other">${entry.kind}</span>`}</span>
    <span class="took">${entry.wall === undefined ? "" : seconds(entry.wall)}</span>
    <span class="saved">${entry.outcome === "reused" ? seconds(entry.saved) : ""}</span>
    <code title=${entry.doubt ? `not reusable: ${entry.doubt}` : undefined}>${entry.text}</code>`;
}

// What the columns are, for the eye; each row's words say it themselves.
const HEADS = html`<div class="heads" aria-hidden="true"><span>time (UTC)</span><span class="id">run</span>
  <span class="how">outcome</span><span class="took">took</span><span class="saved">saved</span><span>command</span></div>`;

// Sums of all entries; while these are still read, the room for them.
function Sums({ entries }) {
  const sums = useMemo(() => {
    if (!entries) return ["runs", "reused", "failed", "spent", "saved"].map((name) => [name, "…"]);
    const runs = entries.filter((entry) => entry.wall !== undefined);
    const reused = runs.filter((run) => run.outcome === "reused");
    const add = (some, key) => some.reduce((sum, run) => sum + run[key], 0);
    return [
      ["runs", count(runs.length)],
      ["reused", runs.length ? percent(reused.length / runs.length) : "–"],
      ["failed", count(runs.filter((run) => run.exit).length)],
      ["spent", seconds(add(runs, "wall"))],
      ["saved", seconds(add(reused, "saved"))],
    ];
  }, [entries]);
  return html`<dl class="facts">${sums.map(([name, said]) => html`<div><dt>${name}</dt><dd>${said}</dd></div>`)}</dl>`;
}

function filtered(entries, words, kind, range) {
  const wanted = words.trim().toLowerCase();
  if (!wanted && !kind && !range) return entries;
  return entries.filter((entry) =>
    (!wanted || entry.text.toLowerCase().includes(wanted) || entry.id?.startsWith(wanted)) &&
    (!kind || (entry.outcome ? kindOf(entry.outcome) : "other") === kind) &&
    (!range || (entry.ms / 1000 >= range[0] && entry.ms / 1000 <= range[1])));
}

// Entries as they are read, the first ones at once, the others meanwhile; then what is new.
function useLedger(shown) {
  const [state, setState] = useState({ home: null, entries: [], error: null });
  const kept = useRef(state);
  const put = (change) => setState((kept.current = { ...kept.current, error: null, ...change }));
  useEffect(() => {
    let wanted = true, timer = 0;
    const read = async () => {
      const before = kept.current;
      const first = before.home ? null : ask(`/api/entries?count=${FIRST}`);
      const home = await ask("/api/home");
      const known = before.entries[0]?.seq ?? home.first - 1;
      if (before.home && home.ledger.size === before.home.ledger.size) return;
      const next = home.first + home.entries;
      // What came since then, or, at first, the newest.
      const fresh = Math.min(Math.max(next - 1 - known, 0), MORE);
      const { entries } = await (first ?? ask(`/api/entries?before=${next}&count=${fresh}`));
      if (!wanted) return;
      put({ home, entries: [...entries, ...before.entries].slice(0, home.entries) });
      while (wanted && kept.current.entries.length < home.entries) {
        const last = kept.current.entries.at(-1).seq;
        const more = await ask(`/api/entries?before=${last}&count=${MORE}`);
        if (!more.entries.length) break;
        put({ entries: [...kept.current.entries, ...more.entries] });
      }
    };
    const again = () => {
      if (!wanted) return;
      const soon = () => (timer = setTimeout(again, EVERY_MS));
      if (document.hidden || !shown) soon();
      else read().catch((error) => wanted && put({ error: error.message })).then(soon);
    };
    again();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [shown]);
  return state;
}

function plotted(entries) {
  const runs = entries.filter((entry) => entry.wall !== undefined).sort((a, b) => a.ms - b.ms);
  const least = 1e-4;
  return [
    runs.map((run) => run.ms / 1000),
    ...KINDS.map((kind) => runs.map((run) =>
      kindOf(run.outcome) === kind ? Math.max(run.wall, least) : null)),
    runs.map((run) => run.seq),
  ];
}

// Times of an axis, as short as their distance allows; where a day begins, it is said.
function moments(all, step) {
  let day = "";
  return all.map((at) => {
    const whole = new Date(at * 1000).toISOString();
    const date = whole.slice(0, 10) === day ? "" : `\n${(day = whole.slice(0, 10))}`;
    if (step >= 86400) return day;
    return `${step < 1 ? whole.slice(14, 23) : whole.slice(11, step < 60 ? 19 : 16)}${date}`;
  });
}

// A little room at both ends, and some where all of it is one moment.
function padded(low, high) {
  const room = Math.max((high - low) / 60, 0.5 * (high === low));
  return [low - room, high + room];
}

const ranges = (u, of) => [u.scales[of].min, u.scales[of].max];

function Chart({ data, onRange }) {
  const shapes = data.slice(0, -1), places = data.at(-1);
  const options = (colour) => ({
    scales: { x: { time: true, range: (_, low, high) => padded(low, high) }, y: { distr: 3 } },
    axes: [{ size: 50, space: 84, values: (_, all, __, ___, step) => moments(all, step) }, {
      values: (_, all) => all.map((each) => (each === null ? "" : seconds(each))), size: 62,
      filter: (_, all) => all.map((each) => (Number.isInteger(Math.log10(each)) ? each : null)),
      grid: { show: false }, ticks: { show: false },
    }],
    series: [
      { label: "time (UTC)", value: (_, each) => (each === null ? "–" : time(each * 1000)) },
      ...KINDS.map((kind) => ({
        label: NAMES[kind], stroke: colour(kind), paths: () => null,
        points: { show: true, size: places.length > 2000 || innerWidth < 640 ? 4.5 : 7, width: 0, fill: colour(kind), space: 0 },
        value: (_, each) => (each === null ? "–" : seconds(each)),
      })),
    ],
    tzDate: (at) => uTime(at),
    cursor: { drag: { x: true, y: false }, points: { size: 9 } },
    hooks: {
      setScale: [(u, of) => {
        if (of !== "x" || u.data[0].length === 0) return;
        const [low, high] = ranges(u, "x");
        const all = low <= u.data[0][0] && high >= u.data[0].at(-1);
        onRange(all ? null : [low, high]);
      }],
      ready: [(u) => u.over.addEventListener("click", () => {
        const at = u.cursor.idx;
        if (u.select.width === 0 && at !== null && at !== undefined) location.hash = `#/entry/${places[at]}`;
      })],
    },
  });
  const held = useMemo(() => shapes, [data]);
  return html`<${Plot} options=${options} data=${held} height=${230}
    label=${`How long each of ${count(places.length)} runs took, by the time it ended`} />`;
}

// uPlot asks for local times; these are UTC, as everywhere else.
function uTime(at) {
  const moment = new Date(at * 1000);
  return new Date(moment.getTime() + moment.getTimezoneOffset() * 60000);
}
