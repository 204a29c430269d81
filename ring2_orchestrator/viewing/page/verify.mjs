// Containers, decoded here by the kernels that Redoxa itself uses, and compared with their names.
import { Title, count, html, seconds, size, useEffect, useRef, useState } from "./dom.mjs";
import { Tree } from "./tree_view.mjs";
import { Queue, paired } from "./queue.mjs";

const SAID = {
  exact: ["EXACT", "It gives exactly the bytes that were packed"],
  damaged: ["DAMAGED", "It does not give what was packed"],
  refused: ["REFUSED", "What it needs is not here"],
  failed: ["FAILED", "It could not be done"],
  stopped: ["STOPPED", "It was stopped before its end"],
};

export function Verify({ shown }) {
  const [results, setResults] = useState([]);
  const [allow, setAllow] = useState(false);
  const [over, setOver] = useState(false);
  const queue = useRef(null);
  queue.current ??= new Queue(setResults);
  const allowed = useRef(false);
  allowed.current = allow;
  const take = (files) => queue.current.add(paired([...files]), allowed.current);
  useEffect(() => {
    queue.current.fetchNamed((named) => named && location.hash.replace(/^#\/?/, "") === "" && (location.hash = "#/verify"));
    // Wherever on the page files are dropped, they are meant for it, and never opened in its place.
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      setOver(false);
      if (!event.dataTransfer.files.length) return;
      take(event.dataTransfer.files);
      location.hash = "#/verify";
    });
  }, []);
  if (!shown) return null;
  return html`
    <${Title}>Verify<//>
    <p class="quiet">A container is decoded here, in this browser, by the same kernels, and compared with the
      name it carries. Nothing is sent anywhere. Drop its original beside it to compare byte by byte, too.</p>
    <label class=${`drop ${over ? "over" : ""}`} onDragOver=${() => setOver(true)} onDragLeave=${() => setOver(false)}>
      <strong>Drop containers here</strong> or <span class="choose">choose files</span>
      <input type="file" multiple onChange=${(event) => {
        take(event.target.files);
        event.target.value = "";
      }} />
    </label>
    <label class="allow"><input type="checkbox" checked=${allow} onChange=${(event) => setAllow(event.target.checked)} />
      Run kernels that a container brings itself, in the browser's sandbox</label>
    <div class="results" role="status" aria-live="polite">
      ${results.map((result) => html`<${Result} key=${result.id} result=${result} stop=${() => queue.current.stop(result.id)} />`)}
    </div>`;
}

function Result({ result, stop }) {
  const { file, facts, verdict } = result;
  const [word, sentence] = SAID[verdict] ?? ["", ""];
  return html`
    <article class=${`result ${verdict ?? "running"}`} data-name=${file.name} data-verdict=${verdict ?? ""} data-digest=${result.digest ?? ""}>
      <header><h2>${file.name}</h2>
        ${verdict
          ? html`<span class=${`verdict ${verdict}`}>${word}</span>`
          : html`<button type="button" class="outline secondary" onClick=${stop}>Stop</button>`}
      </header>
      ${!verdict && html`<progress aria-label=${`Decoding ${file.name}`} value=${facts ? result.done ?? 0 : undefined} max=${facts?.length || 1} />`}
      ${verdict && html`<p>${verdict === "exact" ? sentence : result.why ? `${sentence}: ${result.why}` : sentence}.</p>`}
      ${result.compared && html`<${Compared} compared=${result.compared} name=${result.other.name} />`}
      ${facts && html`<${Facts} result=${result} />`}
      ${result.plans?.count > 0 && html`<${Plans} ...${result.plans} />`}
    </article>`;
}

function Plans({ count: many, trees }) {
  const what = many === 1 ? "Its plan" : `Its ${count(many)} plans`;
  return html`<details open=${many < 4}><summary>${what}, with the bytes beneath every step</summary>
    ${trees.map((tree, at) => html`<${Tree} tree=${tree} number=${many > 1 ? at + 1 : null} />`)}
    ${many > trees.length && html`<p class="quiet">and ${count(many - trees.length)} more</p>`}
  </details>`;
}

function Facts({ result }) {
  const { facts, came } = result;
  const rate = result.seconds > 0 && result.verdict === "exact" ? `${size(facts.length / result.seconds)}/s` : null;
  const rows = [
    ["original", `${size(facts.length)}${facts.contents === "tree" ? ", a directory" : ""}`],
    ["container", size(facts.size)],
    ["ratio", facts.size ? (facts.length / facts.size).toFixed(3) : null],
    ["decoded in", result.seconds === undefined ? null : seconds(result.seconds)], ["at", rate],
    ["format", `version ${facts.version}`],
    ["parts", facts.segments > 1 ? count(facts.segments) : null],
  ];
  return html`
    <dl class="facts">${rows.filter(([, said]) => said !== null).map(([name, said]) => html`<div><dt>${name}</dt><dd>${said}</dd></div>`)}</dl>
    <dl class="names">
      <dt>named</dt><dd>${facts.cid}</dd>
      ${came && html`<dt>decoded</dt><dd class=${came === facts.cid ? "same" : "other"}>${came}</dd>`}
      ${facts.kernels.length > 0 && html`<dt>kernels</dt><dd>${facts.kernels.join(", ")}</dd>`}
    </dl>`;
}

function Compared({ compared, name }) {
  if (compared.same === null) return html`<p>${name} was the same as far as it was decoded.</p>`;
  if (compared.same) return html`<p class="same">${name} is the same, all ${count(compared.otherSize)} bytes.</p>`;
  const { offset, begin, decoded, other, decodedSize, otherSize } = compared;
  const what = other.length <= offset - begin
    ? `${name} ends after ${count(otherSize)} bytes`
    : decoded.length <= offset - begin
      ? `${name} goes on after ${count(decodedSize)} bytes`
      : `${name} differs first at byte ${count(offset)}`;
  const bytes = (row) => row.map((byte, at) =>
    html`<span class=${begin + at === offset ? "first" : ""}>${byte.toString(16).padStart(2, "0")}</span>${" "}`);
  return html`<div class="difference"><p><strong>${what}.</strong></p>
    <pre tabindex="0" role="group" aria-label="The bytes around the first difference"><code>
      ${`from byte ${count(begin)}\ndecoded  `}${bytes(decoded)}${"\nthe file "}${bytes(other)}</code></pre></div>`;
}
