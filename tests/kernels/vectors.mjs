// Runs vectors in this JavaScript engine: node vectors.mjs MODULE.wasm FOLDER [MODULE FOLDER ...]
//
// One line of JSON for each folder: how many calls agreed with the files, and those that did not.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { call } from "../../ring2_orchestrator/engines/harness.mjs";

const INVERSE = 3, FORWARD = 1;

function readCase(folder, name) {
  const keys = new Map();
  for (const line of readFileSync(join(folder, name + ".toml"), "utf8").split("\n")) {
    const found = line.match(/^(\w+) = (.*)$/);
    if (found) keys.set(found[1], found[2].replaceAll('"', ""));
  }
  const ports = (kind) => {
    const single = join(folder, `${name}.${kind}`);
    if (existsSync(single)) return [readFileSync(single)];
    const found = [];
    while (existsSync(`${single}.${found.length}`)) {
      found.push(readFileSync(`${single}.${found.length}`));
    }
    return found;
  };
  return {
    name,
    params: Buffer.from(keys.get("bytes") ?? "", "hex"),
    op: keys.get("op") === "inverse" ? INVERSE : FORWARD,
    refuse: keys.has("refuse") ? Number(keys.get("refuse")) : null,
    inputs: ports("in"),
    outputs: ports("out"),
  };
}

const equal = (a, b) =>
  typeof a === "number" || typeof b === "number"
    ? a === b
    : a.length === b.length && a.every((data, port) => data.equals(b[port]));

function attempt(module, wrong, label, op, params, inputs, nOut, expected) {
  let answer;
  try {
    answer = call(module, op, params, inputs, nOut);
  } catch (error) {
    wrong.push(`${label}: ${error}`);
    return;
  }
  if (!equal(answer, expected)) {
    wrong.push(`${label}: ${typeof answer === "number" ? "code " + answer : "other bytes"}`);
  }
}

function examine(path, folder) {
  const module = new WebAssembly.Module(readFileSync(path));
  const names = readdirSync(folder).filter((name) => name.endsWith(".toml")).sort();
  const wrong = [];
  let calls = 0;
  for (const one of names.map((name) => readCase(folder, name.slice(0, -5)))) {
    // A refused call gives nothing, so how many outputs it has is learnt from those it may have.
    if (one.refuse !== null) {
      const counts = [1, 2, 4, 8];
      const answers = counts.map((count) => {
        try {
          return call(module, one.op, one.params, one.inputs, count);
        } catch (error) {
          return String(error);
        }
      });
      calls += 1;
      if (!answers.includes(one.refuse)) wrong.push(`${one.name}: ${answers}`);
      continue;
    }
    calls += 1;
    attempt(module, wrong, one.name, one.op, one.params, one.inputs, one.outputs.length, one.outputs);
    if (one.op === INVERSE) continue;
    calls += 1;
    attempt(module, wrong, `${one.name} (inverse)`, INVERSE, one.params, one.outputs,
      one.inputs.length, one.inputs);
  }
  return { folder, calls, wrong };
}

for (let at = 2; at + 1 < process.argv.length; at += 2) {
  console.log(JSON.stringify(examine(process.argv[at], process.argv[at + 1])));
}
