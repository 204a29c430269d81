// A plan as a tree of steps, each with the stored bytes beneath it and their share.
import { count, html, percent, size } from "./dom.mjs";

const DEEPEST = 14;

export function Tree({ tree, number }) {
  const whole = Math.max(tree.bytes, 1);
  return html`<div class="tree">
    <p class="quiet">${number ? `plan ${number}: ` : ""}${count(tree.originalBytes)} bytes became ${count(tree.bytes)}</p>
    <ul>${tree.lines.map((line) => html`<${Line} line=${line} whole=${whole} />`)}</ul>
    ${tree.more && html`<p class="quiet">and more</p>`}</div>`;
}

function Line({ line, whole }) {
  const share = line.bytes / whole;
  return html`<li class="node" style=${{ "--depth": Math.min(line.depth, DEEPEST) }}>
    <code>${line.label}</code>${line.type && html` <small>${line.type}</small>`}
    <span class="track"><span class="fill" style=${{ width: `${100 * share}%` }}></span></span>
    <span class="number" title=${`${count(line.bytes)} bytes`}>${size(line.bytes)}</span>
    <span class="number share">${percent(share)}</span>
  </li>`;
}
