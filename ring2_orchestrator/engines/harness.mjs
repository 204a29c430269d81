// Calls kernels in this JavaScript engine: node harness.mjs MODULE.wasm CALLS ANSWERS
//
// CALLS and ANSWERS are laid out as batch.py says. Each answer is written as soon as it is known, so
// that whoever ends this process knows which call never came back. ANSWERS is made once the module is
// compiled; the process ends with code 3 where it cannot be written.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const PAGE = 65536;
const LIMIT = 256 * 1024 * 1024;
const RESULT = 0, REFUSED = 1, TRAPPED = 2, NO_MEMORY = 3;
const align = (address) => Math.ceil(address / 16) * 16;

class NoMemory extends Error {}

// The outputs, or the code of the refusal, of one call on a fresh instance.
export function call(module, op, params, inputs, nOut) {
  const { memory, run } = new WebAssembly.Instance(module, {}).exports;
  const base = memory.buffer.byteLength;
  const words = 7 + 2 * inputs.length + 3 * nOut;
  let end = align(base + 4 * words);
  const place = (size) => {
    const at = end;
    end = align(end + size);
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE);
    if (end - base > LIMIT) throw new NoMemory();
    if (missing > 0) memory.grow(missing);
    return at;
  };
  const put = (data) => {
    const at = place(data.length);
    new Uint8Array(memory.buffer).set(data, at);
    return [at, data.length];
  };
  place(0);
  const param = put(params);
  const ins = inputs.map(put);
  const block = () => new Uint32Array(memory.buffer, base, words);
  const outWord = 5 + 2 * ins.length;
  const fill = (operation, outs, scratch) =>
    block().set([operation, ...param, ins.length, ...ins.flat(), nOut, ...outs.flat(), ...scratch]);

  fill(op & ~1, Array(nOut).fill([0, 0, 0]), [0, 0]);
  let code = run(base);
  if (code !== 0) return code;
  const caps = Array.from({ length: nOut }, (_, port) => block()[outWord + 3 * port + 1]);
  const scratchLength = block()[words - 1];
  const outs = caps.map((cap) => [place(cap), cap, 0]);
  fill(op, outs, [place(scratchLength), scratchLength]);
  code = run(base);
  if (code !== 0) return code;
  return outs.map(([at, cap], port) => {
    const length = block()[outWord + 3 * port + 2];
    if (length > cap) throw new RangeError("an output claims more than its room");
    return Buffer.from(memory.buffer.slice(at, at + length));
  });
}

function* readCalls(data) {
  let at = 0;
  const word = () => data.readUInt32LE((at += 4) - 4);
  const take = (length) => data.subarray(at, (at += length));
  for (let left = word(); left > 0; left--) {
    const [op, nOut, paramLength, nIn] = [word(), word(), word(), word()];
    const lengths = Array.from({ length: nIn }, word);
    yield { op, nOut, params: take(paramLength), inputs: lengths.map(take) };
  }
}

function answer(module, { op, params, inputs, nOut }) {
  const words = (...values) => Buffer.from(Uint32Array.from(values).buffer);
  try {
    const given = call(module, op, params, inputs, nOut);
    if (typeof given === "number") return words(REFUSED, given);
    return Buffer.concat([
      words(RESULT, given.length, ...given.map((one) => one.length)), ...given]);
  } catch (error) {
    return words(error instanceof NoMemory ? NO_MEMORY : TRAPPED);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [, , wasm, calls, answers] = process.argv;
  const module = new WebAssembly.Module(readFileSync(wasm));
  const file = openSync(answers, "w");
  const write = (data) => {
    try {
      for (let at = 0; at < data.length; ) at += writeSync(file, data, at);
    } catch (error) {
      console.error(`the answers cannot be written (${error.code})`);
      process.exit(3);
    }
  };
  for (const one of readCalls(readFileSync(calls))) write(answer(module, one));
  closeSync(file);
}
