// A plot by uPlot, as wide as the room there is, in the colours of the page.
import uPlot from "./vendored/uplot.mjs";
import { html, useEffect, useRef, useState } from "./dom.mjs";

const dark = matchMedia("(prefers-color-scheme: dark)");

// `options(colour)` gives what uPlot is told, but for its size; `colour(name)` is one of the page's.
export function Plot({ options, data, height = 220, label }) {
  const here = useRef();
  const [theme, setTheme] = useState(dark.matches);
  useEffect(() => {
    const follow = () => setTheme(dark.matches);
    dark.addEventListener("change", follow);
    return () => dark.removeEventListener("change", follow);
  }, []);
  useEffect(() => {
    const place = here.current;
    const style = getComputedStyle(place);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const plot = new uPlot(dressed(options(colour), colour, place.clientWidth, height), data, place);
    const watch = new ResizeObserver(() =>
      place.clientWidth > 0 && plot.setSize({ width: place.clientWidth, height }));
    watch.observe(place);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [data, theme]);
  return html`<div class="plot" ref=${here} role="img" aria-label=${label}></div>`;
}

function dressed(options, colour, width, height) {
  const axis = {
    stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif", labelSize: 20, size: 46,
  };
  const [x, y] = options.axes ?? [{}, {}];
  return {
    width: Math.max(width, 200), height,
    ...options,
    legend: { markers: { dash: (plot, at) => (plot.series[at].dash ? "dashed" : "solid") } },
    axes: [{ ...axis, size: 34, ...x }, { ...axis, ...y }],
  };
}
