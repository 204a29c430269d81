// The store: what is kept in which tier, and what that takes.
import { Title, Waiting, count, html, seconds, size, useAnswer } from "./dom.mjs";

const SAID = {
  illuminated: "kept whole",
  penumbra: "kept as a container that a plan unpacks",
  umbra: "dropped: what made it runs again",
};

export function Store() {
  const { value, error } = useAnswer("/api/store");
  if (!value) return html`<${Title}>Store<//><${Waiting} error=${error} />`;
  const tiers = Object.entries(value.tiers);
  const most = Math.max(1, ...tiers.map(([, tier]) => Math.max(tier.object_bytes, tier.stored_bytes)));
  const read = tiers.reduce((sum, [, tier]) => sum + tier.object_bytes, 0);
  const stored = tiers.reduce((sum, [, tier]) => sum + tier.stored_bytes, 0);
  const { stat } = value;
  return html`
    <${Title}>Store<//>
    <dl class="facts">
      ${[["objects", count(stat.objects)], ["when read", size(read)], ["kept in", size(stored)],
        ["on the disk", size(stat.disk_bytes)], ["packs", count(stat.packs)], ["roots", count(stat.roots)],
        ["in chunks", count(value.in_chunks)]].map(([name, said]) =>
          html`<div><dt>${name}</dt><dd>${said}</dd></div>`)}
    </dl>
    <h2>Tiers</h2>
    <div class="tiers">${tiers.map(([name, tier]) => html`
      <article class=${`tier ${name}`}>
        <header><strong>${name}</strong> <span class="quiet">${SAID[name]}</span></header>
        <p>${count(tier.objects)} ${tier.objects === 1 ? "object" : "objects"}</p>
        <${Bar} label="when read" bytes=${tier.object_bytes} most=${most} />
        <${Bar} label="kept in" bytes=${tier.stored_bytes} most=${most} />
        ${tier.debt_s > 0 && html`<p class="quiet">to rebuild all of it: about ${seconds(tier.debt_s)}</p>`}
      </article>`)}
    </div>
    <h2>Objects by what they are</h2>
    <table><thead><tr><th scope="col">codec</th><th scope="col" class="number">objects</th><th scope="col" class="number">bytes</th></tr></thead>
      <tbody>${Object.entries(value.codecs).map(([name, held]) => html`
        <tr><td>${name}</td><td class="number">${count(held.objects)}</td><td class="number">${size(held.bytes)}</td></tr>`)}</tbody>
    </table>`;
}

function Bar({ label, bytes, most }) {
  return html`<div class="bar"><span>${label}</span>
    <span class="track"><span class="fill" style=${{ width: `${(100 * bytes) / most}%` }}></span></span>
    <span class="number">${size(bytes)}</span></div>`;
}
