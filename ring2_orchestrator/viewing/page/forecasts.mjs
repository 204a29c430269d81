// How good forecasts were: reliability, losses, coverage, and what the runs took and saved.
import { Title, Waiting, briefly, count, html, percent, seconds, useAnswer, useMemo } from "./dom.mjs";
import { Plot } from "./plot.mjs";

const NAMES = { must_rerun: "must rerun", failure: "fails", drift: "drifts" };
const COSTS = { cpu_s: "processor time", wall_s: "wall time", max_rss_bytes: "memory" };
const STEPS_S = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800,
  3600, 7200, 18000, 36000, 72000, 180000, 360000, 720000, 1800000, 3600000, 7200000, 18000000,
];
const COLOURS = ["accent", "failed", "doubtful", "reused", "recorded", "quiet", "violet", "rose"];

export function Forecasts() {
  const { value, error } = useAnswer("/api/forecasts");
  if (!value) return html`<${Title}>Forecasts<//><${Waiting} error=${error} />`;
  const asked = Object.entries(value.log_loss).filter(([, found]) => found.forecasts);
  const given = Object.entries(value.calibration.intervals).filter(([, found]) => found.intervals);
  return html`
    <${Title}>Forecasts<//>
    <dl class="facts">
      ${[["runs", count(value.runs)], ["commands", count(value.subjects)], ["spent", seconds(value.seconds.spent)],
        ["saved", seconds(value.seconds.saved)], ["confidence", value.confidence.toFixed(3)]].map(([name, said]) =>
          html`<div><dt>${name}</dt><dd>${said}</dd></div>`)}
    </dl>
    ${value.doubts.map((doubt) => html`<p class="refused">${doubt}</p>`)}
    ${asked.length === 0 && html`<p>None was put to the test yet: no command ran twice.</p>`}
    <div class="two">
      <${Reliability} reliability=${value.calibration.reliability} />
      <${Seconds} history=${value.history} />
    </div>
    <${Losses} history=${value.history} />
    ${asked.length > 0 && html`<${LossTable} asked=${asked} />`}
    ${given.length > 0 && html`<${Coverage} given=${given} />`}`;
}

function Reliability({ reliability }) {
  const lines = Object.entries(reliability).filter(([, tenths]) => tenths.length);
  const data = useMemo(() => {
    const places = new Set([0, 1]);
    lines.forEach(([, tenths]) => tenths.forEach((tenth) => places.add(tenth.expected)));
    const at = [...places].sort((a, b) => a - b);
    const said = lines.map(([, tenths]) => {
      const came = new Map(tenths.map((tenth) => [tenth.expected, tenth.happened]));
      return at.map((place) => came.get(place) ?? null);
    });
    return [at, at, ...said];
  }, [reliability]);
  const options = (colour) => ({
    scales: { x: { time: false, range: [0, 1] }, y: { range: [0, 1.02] } },
    axes: [{ label: "forecast", size: 34 }, { label: "came true" }],
    series: [
      { label: "forecast" },
      { label: "as stated", stroke: colour("quiet"), dash: [4, 4], width: 1, points: { show: false } },
      ...lines.map(([name], at) => ({
        label: NAMES[name], stroke: colour(COLOURS[at]), width: 2, spanGaps: true,
        points: { show: true, size: 7, fill: colour(COLOURS[at]) },
        value: (_, each) => (each === null ? "–" : percent(each)),
      })),
    ],
  });
  if (!lines.length) return null;
  return html`<section><h2>Reliability</h2><${Plot} options=${options} data=${data} height=${260}
    label=${`Forecasts and the share that came true: ${lines.map(([name, tenths]) =>
      `${NAMES[name]}, ${tenths.length} points`).join("; ")}`} /></section>`;
}

function Seconds({ history }) {
  const data = useMemo(() => {
    let spent = 0, plain = 0;
    const sums = history.map((run) => [(spent += run.wall), (plain += run.wall + run.saved)]);
    return [history.map((_, at) => at), sums.map(([one]) => one), sums.map(([, all]) => all)];
  }, [history]);
  const options = (colour) => ({
    scales: { x: { time: false } },
    axes: [{ label: "run", size: 34 }, { values: (_, all) => all.map(briefly), incrs: STEPS_S, size: 64 }],
    bands: [{ series: [2, 1], fill: colour("wash") }],
    series: [
      { label: "run" },
      { label: "spent", stroke: colour("accent"), width: 2, points: { show: false }, value: (_, each) => (each === null ? "–" : seconds(each)) },
      { label: "plain running", stroke: colour("quiet"), width: 1.5, points: { show: false }, value: (_, each) => (each === null ? "–" : seconds(each)) },
    ],
  });
  if (history.length < 2) return null;
  return html`<section><h2>Seconds so far</h2><${Plot} options=${options} data=${data} height=${260}
    label="Seconds that runs took, and what plain running would have taken" /></section>`;
}

function Losses({ history }) {
  const names = Object.keys(history.at(-1)?.losses ?? {});
  const data = useMemo(() => [
    history.map((_, at) => at), ...names.map((name) => history.map((run) => run.losses[name] ?? null)),
  ], [history]);
  const options = (colour) => ({
    scales: { x: { time: false } },
    axes: [{ label: "run", size: 34 }, { label: "nats" }],
    series: [{ label: "run" }, ...names.map((name, at) => ({
      label: name.replaceAll("_", " "), stroke: colour(COLOURS[at % COLOURS.length]), width: name === "CE1" ? 2.5 : 1,
      dash: at < COLOURS.length ? undefined : [6, 4],
      points: { show: false }, value: (_, each) => (each === null ? "–" : each.toFixed(3)),
    }))],
  });
  if (!names.length) return null;
  return html`<section><h2>Log loss of “fails” so far</h2><${Plot} options=${options} data=${data} height=${240}
    label="The mean log loss of forecasts that a run fails, by rule; less is better" /></section>`;
}

function LossTable({ asked }) {
  const rules = [...new Set(asked.flatMap(([, found]) => Object.keys(found.baselines)))];
  const fixed = (loss) => (loss === null || loss === undefined ? "–" : loss.toFixed(4));
  return html`<section><h2>Log loss of each forecast</h2><p class="quiet">in nats: less is better</p>
    <div class="wide" tabindex="0" role="group" aria-label="Log losses"><table>
      <thead><tr><th scope="col">rule</th>${asked.map(([name]) => html`<th scope="col" class="number">${NAMES[name]}</th>`)}</tr></thead>
      <tbody>
        <tr><th scope="row">forecasts</th>${asked.map(([, found]) => html`<td class="number">${count(found.forecasts)}</td>`)}</tr>
        <tr><th scope="row">CE1</th>${asked.map(([, found]) => html`<td class="number"><strong>${fixed(found.ce1)}</strong></td>`)}</tr>
        ${rules.map((rule) => html`<tr><th scope="row">${rule.replaceAll("_", " ")}</th>
          ${asked.map(([, found]) => html`<td class="number">${fixed(found.baselines[rule])}</td>`)}</tr>`)}
      </tbody></table></div></section>`;
}

function Coverage({ given }) {
  return html`<section><h2>Coverage of intervals</h2><p class="quiet">meant to hold ${percent(given[0][1].level)}</p>
    <div class="wide" tabindex="0" role="group" aria-label="Coverage"><table><thead><tr><th scope="col">cost</th><th scope="col" class="number">intervals</th><th scope="col" class="number">held</th><th scope="col" class="number">share</th></tr></thead>
      <tbody>${given.map(([name, found]) => html`<tr><td>${COSTS[name]}</td><td class="number">${count(found.intervals)}</td>
        <td class="number">${count(found.held)}</td><td class="number">${percent(found.share ?? 0)}</td></tr>`)}</tbody></table></div></section>`;
}
