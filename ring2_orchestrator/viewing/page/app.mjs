// The frame of the page: where one is, and what is shown there.
import { html, render, useEffect, useState } from "./dom.mjs";
import { Entry } from "./entry.mjs";
import { Forecasts } from "./forecasts.mjs";
import { Store } from "./store.mjs";
import { Timeline } from "./timeline.mjs";
import { Verify } from "./verify.mjs";

const PAGES = [["", "Time line"], ["verify", "Verify"], ["store", "Store"], ["forecasts", "Forecasts"]];

function App() {
  const [place, setPlace] = useState(location.hash);
  useEffect(() => {
    const follow = () => setPlace(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const [page, detail] = place.replace(/^#\/?/, "").split("/");
  const at = page === "entry" ? "" : page;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <header>
      <nav class="container" aria-label="Pages">
        <a class="brand" href="#/"><img src="mark.svg" alt="" width="28" height="28" /> <strong>Redoxa</strong></a>
        <ul>
          ${PAGES.map(([name, title]) => html`
            <li><a href=${`#/${name}`} aria-current=${at === name ? "page" : undefined}>${title}</a></li>`)}
        </ul>
      </nav>
    </header>
    <main id="main" class="container" tabindex="-1">
      <${Timeline} shown=${page === ""} />
      ${page === "entry" && html`<${Entry} key=${detail} seq=${detail} />`}
      <${Verify} shown=${page === "verify"} />
      ${page === "store" && html`<${Store} />`}
      ${page === "forecasts" && html`<${Forecasts} />`}
    </main>`;
}

function toMain(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

// The token has done its work: neither the history nor a look over the shoulder needs it.
if (location.search) history.replaceState(null, "", `/${location.hash}`);
render(html`<${App} />`, document.getElementById("app"));
