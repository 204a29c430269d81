// Plans read from their operations, and undone.
import { blake3 } from "./blake3.mjs";
import { DamagedContainer, Unavailable, equal, hex, varint } from "./fields.mjs";
import { WIDTHS, outputTypes, parameterBytes, takesSeveral } from "./kernel.mjs";

const STREAM = 0, HOLD = 1, BITCAST = 2, KERNEL = 16;
const TYPES = ["u8", "u16", "u32", "u64", "f32", "f64"];
const MAX_VALUES = 4096, MAX_STEPS = 1024, MAX_KERNELS = 256 - KERNEL, MAX_TRIALS = 4096;

export const widthOf = (type) => WIDTHS[type];

export function readType(fields, place = fields.byte()) {
  if (place >= TYPES.length) throw new DamagedContainer("the container's plan names no element type");
  return TYPES[place];
}

// The table: prefixes of CIDs. Versions 1 and 2 add the digest of the node that lists the whole CIDs.
// `known` gives the kernels that fit a prefix: all of them, and the preferred ones.
export function readTable(fields, known, version) {
  const count = fields.number(MAX_KERNELS, "the number of kernels");
  if (count === 0) return [];
  const prefixes = Array.from({ length: count }, () => hex(fields.take(4)));
  const table = version >= 3
    ? prefixes.map((prefix) => theOne(prefix, known(prefix).preferred))
    : ofDigest(prefixes, prefixes.map((prefix) => known(prefix).all), fields.take(32));
  const digests = table.map((kernel) => hex(kernel.digest));
  if (digests.every((one, at) => at === 0 || digests[at - 1] < one)) return table;
  throw new DamagedContainer("the container names its kernels in another order than theirs");
}

function theOne(prefix, found) {
  if (found.length === 1) return found[0];
  throw new Unavailable(found.length === 0
    ? `the container needs a kernel ${prefix}… that is not here`
    : `the container needs a kernel ${prefix}…, and ${found.length} that are here begin so`);
}

function ofDigest(prefixes, found, digest) {
  const count = prefixes.length;
  let left = MAX_TRIALS;
  const search = (chosen) => {
    if (chosen.length === count) return left-- > 0 && equal(setDigest(chosen), digest) ? chosen : null;
    for (const kernel of found[chosen.length]) {
      const all = search([...chosen, kernel]);
      if (all !== null || left <= 0) return all;
    }
    return null;
  };
  const table = search([]);
  if (table !== null) return table;
  const lacking = prefixes.find((_, at) => found[at].length === 0);
  throw new Unavailable(
    `the container needs ${lacking ? `a kernel ${lacking}…` : "a set of kernels"} that is not here`);
}

function setDigest(kernels) {
  const cid = (kernel) => [0xc7, 0x24, 0x2a, 0x01, 0x55, 0x1e, 0x20, ...kernel.digest];
  const head = kernels.length < 16 ? [0x90 | kernels.length] : [0xdc, 0, kernels.length];
  return blake3(Uint8Array.from([...head, ...kernels.flatMap(cid)]));
}

// Steps in the order of their last inputs; every value is used at most once.
export function readPlan(fields, input, table) {
  const types = [input];
  const steps = [], streams = [], used = new Set();
  for (let value = 0; value < types.length; value++) {
    const code = fields.byte();
    if (code === STREAM) streams.push(value);
    if (code === STREAM || code === HOLD) continue;
    const step = code >= KERNEL
      ? readStep(fields, value, types, table[code - KERNEL])
      : bitcast(types[value], readType(fields, code - BITCAST), value);
    for (const taken of step.inputs) {
      if (used.has(taken) || streams.includes(taken)) {
        throw new DamagedContainer("the container's plan uses a value twice");
      }
      used.add(taken);
    }
    steps.push({ ...step, first: types.length });
    types.push(...step.outputs);
    if (types.length > MAX_VALUES || steps.length > MAX_STEPS) {
      throw new DamagedContainer(`the container's plan has more than ${MAX_VALUES} values`);
    }
  }
  if (used.size + streams.length !== types.length) {
    throw new DamagedContainer("the container's plan holds a value for ever");
  }
  return { input, types, steps, streams };
}

function bitcast(before, after, value) {
  if (before === after || WIDTHS[before] < WIDTHS[after]) {
    throw new DamagedContainer(`the container's plan casts ${before} to ${after}`);
  }
  return { kernel: null, inputs: [value], outputs: [after] };
}

function readStep(fields, value, types, kernel) {
  if (kernel === undefined) {
    throw new DamagedContainer("the container's plan calls a kernel it does not name");
  }
  const { manifest } = kernel;
  const raw = manifest.parameter.map((parameter) => readParameter(fields, manifest, parameter));
  let inputs = [value];
  if (takesSeveral(manifest)) {
    const count = fields.number(MAX_VALUES, "the number of inputs");
    inputs = Array.from({ length: count }, () => value - fields.number(value, "a distance"));
    if (!inputs.includes(value)) throw new DamagedContainer("a step comes after its inputs");
    if (new Set(inputs).size !== count) throw new DamagedContainer("a step uses a value twice");
  }
  const { types: outputs, width } = outputTypes(manifest, inputs.map((one) => types[one]));
  const settings = manifest.parameter.map((parameter, at) => ({ ...parameter, value: raw[at].value }));
  const params = parameterBytes(manifest, width, raw.map((one) => one.bytes));
  return { kernel, inputs, outputs, params, settings };
}

function readParameter(fields, manifest, { min, max, signed }) {
  const number = fields.big();
  const value = signed ? (number >> 1n) ^ -(number & 1n) : number;
  if (value < min || value > max) {
    throw new DamagedContainer(`the container gives ${manifest.name} a parameter outside its range`);
  }
  return { value, bytes: varint(number) };
}

// The one value the plan made these streams of: its steps backwards.
export function undo(plan, streams, limits) {
  let work = 0;
  const spend = (values) => {
    work += values.reduce((sum, value) => sum + value.length, 0);
    if (work > limits.workBytes) throw new DamagedContainer("the plan works on more than it may");
  };
  const values = new Map(plan.streams.map((number, at) => [number, streams[at]]));
  for (const step of [...plan.steps].reverse()) {
    const given = step.outputs.map((_, at) => values.get(step.first + at));
    step.outputs.forEach((_, at) => values.delete(step.first + at));
    let taken = given;
    if (step.kernel !== null) {
      spend(given);
      taken = step.kernel.inverse(step.params, given, step.inputs.length, limits);
      spend(taken);
    }
    step.inputs.forEach((number, at) => values.set(number, taken[at]));
  }
  return values.get(0);
}
