// One entry of the ledger: a run with its graph, or what its batch says.
import { Outcome, Title, Waiting, count, html, seconds, size, useAnswer, useEffect, useRef } from "./dom.mjs";

export function Entry({ seq }) {
  const { value, error } = useAnswer(`/api/entry?seq=${encodeURIComponent(seq)}`);
  const back = html`<p><a href="#/">← Time line</a></p>`;
  if (!value) return html`${back}<${Title}>${`Entry ${seq}`}<//><${Waiting} error=${error} />`;
  return html`${back}${value.run ? html`<${Run} ...${value} />` : html`<${Batch} ...${value} />`}`;
}

function Batch({ leaf, batch }) {
  return html`
    <${Title}>${`Entry ${leaf.seq}: ${leaf.kind}`}<//>
    <p class="quiet"><code>${leaf.subject}</code></p>
    ${batch.map((entry) => html`<pre tabindex="0"><code>${JSON.stringify(entry, null, 2)}</code></pre>`)}`;
}

function Run({ run, title, when, graph, lacking }) {
  const facts = [
    ["ended", when], ["took", seconds(run.wall_s)],
    ["processor", run.cpu_s ? seconds(run.cpu_s) : null],
    ["memory", run.max_rss_bytes ? size(run.max_rss_bytes) : null],
    ["saved", run.outcome === "reused" ? seconds(run.saved_s) : null],
    ["exit code", String(run.exit_code)],
    ["inputs", graph ? count(graph.counts[0]) : run.inputs ? count(run.inputs) : null],
    ["processes", graph?.counts[1] ? count(graph.counts[1]) : null],
    ["outputs", graph ? count(graph.counts[2]) : null],
    ["entry", `@${run.entry}`],
  ];
  return html`
    <${Title}><span class="mono">${title}</span><//>
    <p><${Outcome} outcome=${run.outcome} exit=${run.exit_code} /> ${run.reason && html`<span class="quiet">${run.reason}</span>`}</p>
    ${run.doubts.length > 0 && html`<ul class="doubts">${run.doubts.map((doubt) => html`<li>not reusable: ${doubt.detail}</li>`)}</ul>`}
    <dl class="facts">${facts.filter(([, said]) => said !== null).map(([name, said]) => html`<div><dt>${name}</dt><dd>${said}</dd></div>`)}</dl>
    ${lacking && html`<p class="quiet">${lacking}</p>`}
    ${graph && html`<${Graph} graph=${graph} />`}
    <details><summary>Names</summary><dl class="names">
      <dt>run</dt><dd>${run.id}</dd><dt>subject</dt><dd>${run.subject}</dd>
      ${run.trace && html`<dt>trace</dt><dd>${run.trace}</dd>`}
    </dl></details>`;
}

function Graph({ graph }) {
  return html`
    <section aria-labelledby="drawn">
      <h2 id="drawn">Inputs, processes, outputs</h2>
      <${Drawing} svg=${graph.svg} />
    </section>
    ${graph.steps.length > 0 && html`<section aria-labelledby="steps">
      <h2 id="steps">Processes</h2>
      <ul class="steps">${graph.steps.map((step) => html`
        <li style=${{ marginInlineStart: `${Math.min(step.depth, 12) * 1.1}rem` }}><${Step} step=${step} /></li>`)}
      </ul>
      ${graph.left_out > 0 && html`<p class="quiet">and ${count(graph.left_out)} more</p>`}
    </section>`}
    <div class="two">
      <${Paths} title="Inputs" paths=${graph.inputs} />
      <${Paths} title="Outputs" paths=${graph.outputs} />
    </div>`;
}

function Step({ step }) {
  const head = html`<code class=${step.failed ? "failed" : ""}>${step.words}</code> <small>${step.costs}</small>`;
  if (!step.uses.length) return html`<div class="leaf">${head}</div>`;
  return html`<details><summary>${head}</summary>
    <dl class="uses">${step.uses.map(({ verb, paths }) => html`<dt>${verb}</dt><dd>${paths}</dd>`)}</dl></details>`;
}

function Paths({ title, paths }) {
  return html`<section><h2>${title}</h2>
    ${paths.length
      ? html`<ul class="paths">${paths.map((path) => html`<li>${path}</li>`)}</ul>`
      : html`<p class="quiet">none</p>`}</section>`;
}

// The drawing of `redoxa graph`, in the colours of the page.
function Drawing({ svg }) {
  const here = useRef();
  useEffect(() => {
    const drawn = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    if (drawn.nodeName === "svg") here.current.replaceChildren(document.importNode(drawn, true));
  }, [svg]);
  return html`<div class="drawing" ref=${here} tabindex="0" role="group" aria-label="The graph of the run"></div>`;
}
