// A container's plans as trees: every step, and how many of the stored bytes lie beneath it. What
// `redoxa explain --json` says, from the header and the sizes of the blocks; nothing is decoded.

// The plans in the order of the container: `{ originalBytes, root }`, and of a tree's branches
// `{ label, type, bytes, branches }`.
export function trees(container) {
  const sums = new Map();
  for (const { plan } of container.segments) {
    if (plan !== null && !sums.has(plan)) {
      sums.set(plan, { originalBytes: 0, streams: plan.streams.map(() => 0) });
    }
  }
  for (const { plan, length, streams } of container.extents()) {
    if (plan === null || streams === null) continue;
    const sum = sums.get(plan);
    sum.originalBytes += length;
    streams.forEach((size, at) => (sum.streams[at] += size));
  }
  return [...sums].map(([plan, { originalBytes, streams }]) =>
    ({ originalBytes, root: treeOf(plan, streams) }));
}

// A step of several inputs stands beneath the last of them.
function treeOf(plan, sizes) {
  const stored = new Map(plan.streams.map((value, at) => [value, sizes[at]]));
  const beneath = new Map();
  const value = (label, at) => {
    const step = beneath.get(at);
    return {
      label, type: plan.types[at], bytes: step ? step.bytes : stored.get(at) ?? 0,
      branches: step ? [step] : [],
    };
  };
  for (const step of [...plan.steps].reverse()) {
    const parts = portNames(step).map((name, at) => value(name, step.first + at));
    const one = parts.length === 1;
    beneath.set(Math.max(...step.inputs), {
      label: callText(step),
      type: one ? parts[0].type : "",
      bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
      branches: one ? parts[0].branches : parts,
    });
  }
  return value("original", 0);
}

// A step as it is written in a gene, without what it is applied to.
function callText({ kernel, outputs, settings }) {
  if (kernel === null) return `bitcast(to=${outputs[0]})`;
  const said = settings
    .filter(({ value, default: usual }) => value !== usual)
    .map(({ name, value }) => `${name}=${value}`);
  return said.length ? `${kernel.name}(${said.join(", ")})` : kernel.name;
}

// What the outputs of a step are called; those of a port that repeats are numbered.
function portNames({ kernel, outputs }) {
  if (kernel === null) return ["value"];
  const ports = kernel.manifest.output;
  const width = outputs.length - ports.length + 1;
  return ports.flatMap(({ name, count }) =>
    count === "width" ? Array.from({ length: width }, (_, at) => `${name} ${at}`) : [name]);
}
