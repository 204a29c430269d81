// A long list of which only what is seen is there. The arrow keys, Home and End move in it.
import { html, useLayoutEffect, useRef, useState } from "./dom.mjs";

const narrow = matchMedia("(max-width: 640px)");
const BEYOND = 8;

// `place` keeps where one was while the list is not shown.
export function Rows({ entries, row, label, place }) {
  const here = useRef();
  const wish = useRef(null);
  const [tall, setTall] = useState(narrow.matches ? 76 : 38);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState(place.active);
  place.active = active;
  useLayoutEffect(() => {
    here.current.scrollTop = place.top;
  }, []);
  // Of layout: other effects end only after a box is gone, and what it says then is that it is at its top.
  useLayoutEffect(() => {
    const box = here.current;
    const follow = () => setTall(narrow.matches ? 76 : 38);
    const look = () => {
      place.top = box.scrollTop;
      setSeen({ top: place.top, height: box.clientHeight });
    };
    const watch = new ResizeObserver(look);
    watch.observe(box);
    box.addEventListener("scroll", look, { passive: true });
    narrow.addEventListener("change", follow);
    return () => {
      watch.disconnect();
      box.removeEventListener("scroll", look);
      narrow.removeEventListener("change", follow);
    };
  }, []);
  useLayoutEffect(() => {
    if (wish.current === null) return;
    here.current.querySelector(`[data-at="${wish.current}"]`)?.focus({ preventScroll: true });
    wish.current = null;
  });
  const move = (event) => {
    const page = Math.max(1, Math.floor(seen.height / tall) - 1);
    const steps = {
      ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -entries.length, End: entries.length,
    };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    const to = Math.min(Math.max(active + steps[event.key], 0), entries.length - 1);
    const box = here.current;
    if (to * tall < box.scrollTop) box.scrollTop = to * tall;
    if ((to + 1) * tall > box.scrollTop + box.clientHeight) box.scrollTop = (to + 1) * tall - box.clientHeight;
    wish.current = to;
    setActive(to);
    setSeen({ top: box.scrollTop, height: box.clientHeight });
  };
  const first = Math.max(0, Math.floor(seen.top / tall) - BEYOND);
  const last = Math.min(entries.length, Math.ceil((seen.top + seen.height) / tall) + BEYOND);
  const one = Math.min(active, entries.length - 1);
  const places = Array.from({ length: Math.max(last - first, 0) }, (_, at) => first + at);
  // The row that has the focus stays, however far away one scrolls.
  if (one >= 0 && (one < first || one >= last)) places.push(one);
  return html`
    <div class="rows" ref=${here}>
      <ol aria-label=${label} style=${{ height: `${entries.length * tall}px` }} onKeyDown=${move}>
        ${places.map((at) => html`
          <li key=${entries[at].seq} aria-setsize=${entries.length} aria-posinset=${at + 1}
            style=${{ transform: `translateY(${at * tall}px)`, height: `${tall}px` }}>
            <a href=${`#/entry/${entries[at].seq}`} data-at=${at} tabindex=${at === one ? 0 : -1}
              onFocus=${() => setActive(at)}><${row} entry=${entries[at]} /></a>
          </li>`)}
      </ol>
    </div>`;
}
