// What every page is made with: elements, states, words for sizes and times, and the server's answers.
import { h, render } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import htm from "htm";

export const html = htm.bind(h);
export { render, useEffect, useLayoutEffect, useMemo, useRef, useState };

// An answer of the server; what it refuses is an error with its sentence.
export async function ask(path) {
  const answer = await fetch(path);
  if (answer.ok) return answer.json();
  let sentence = `${answer.status} ${answer.statusText}`;
  try {
    sentence = (await answer.clone().json()).error;
  } catch {
    sentence = (await answer.text()).trim() || sentence;
  }
  throw new Error(sentence);
}

// The answer for a path as a state: `{ value, error }`, both missing while it is waited for.
export function useAnswer(path) {
  const [state, setState] = useState({});
  useEffect(() => {
    let wanted = true;
    setState({});
    ask(path).then(
      (value) => wanted && setState({ value }),
      (error) => wanted && setState({ error: error.message }));
    return () => (wanted = false);
  }, [path]);
  return state;
}

export const count = (number) => number.toLocaleString("en-US");

export function size(bytes) {
  if (bytes < 10000) return `${count(bytes)} B`;
  let value = bytes;
  for (const unit of ["kB", "MB", "GB", "TB"]) {
    value /= 1000;
    if (value < 999.5 || unit === "TB") return `${Number(value.toPrecision(3))} ${unit}`;
  }
}

export function seconds(value) {
  if (value < 0) return `-${seconds(-value)}`;
  if (value === 0) return "0 s";
  if (value < 0.9995) return `${Number((value * 1000).toPrecision(3))} ms`;
  if (value < 120) return `${Number(value.toPrecision(3))} s`;
  return `${count(Math.floor(value / 60))} min ${Math.floor(value) % 60} s`;
}

// The same for an axis, whose places are round: 20 min, 3 h.
export function briefly(value) {
  if (value < 120) return seconds(value);
  return value < 7200 ? `${count(value / 60)} min` : `${count(value / 3600)} h`;
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

export function time(ms) {
  const moment = new Date(ms);
  return Number.isNaN(moment.getTime()) ? `${ms} ms` : moment.toISOString().slice(0, 19).replace("T", " ");
}

// A heading that hears of it when a page is turned to.
export function Title({ children }) {
  const here = useRef();
  useEffect(() => {
    document.title = `${here.current.textContent} · Redoxa`;
    if (document.body.dataset.turned) here.current.focus();
    document.body.dataset.turned = "yes";
  }, []);
  return html`<h1 ref=${here} tabindex="-1">${children}</h1>`;
}

export function Waiting({ error }) {
  if (error) return html`<p role="alert" class="refused">${error}</p>`;
  return html`<p aria-busy="true">Reading …</p>`;
}

// How a run ended, as a word in a colour of its own.
export function Outcome({ outcome, exit = 0 }) {
  return html`<span class=${`badge ${kindOf(outcome)}`}>${outcome}${exit ? ` ${exit}` : ""}</span>`;
}

export function kindOf(outcome) {
  return { recorded: "recorded", reused: "reused", failed: "failed", lost: "failed" }[outcome] ?? "doubtful";
}
