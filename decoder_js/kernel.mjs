// A kernel: a WebAssembly module, its name, its manifest, and how its inverse is called.
//
// ring2_orchestrator/engines/harness.mjs calls kernels much alike and is not used: what this decoder
// confirms, it must not share.
import { blake3 } from "./blake3.mjs";
import { DamagedContainer, Fields, hex } from "./fields.mjs";

const PAGE = 65536;
const INVERSE = 3;
const SECTION = "redoxa.manifest";
const SENTENCES = {
  1: "the input lies outside the kernel's domain",
  2: "the kernel does not accept these parameters",
  3: "these bytes were never made by the kernel's forward operation",
};
const text = new TextDecoder("utf-8", { fatal: true });
const align = (address) => Math.ceil(address / 16) * 16;

export const WIDTHS = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, f64: 8 };

export class Kernel {
  #module;

  constructor(wasm) {
    this.wasm = wasm;
    this.digest = blake3(wasm);
    this.manifest = manifestOf(wasm);
  }

  get name() {
    return this.manifest.name;
  }

  // The inputs of the forward operation that made these outputs, within the limits.
  inverse(params, given, nOut, limits) {
    try {
      this.#module ??= new WebAssembly.Module(this.wasm);
      const answer = call(this.#module, params, given, nOut, limits);
      if (typeof answer !== "number") return answer;
      throw new DamagedContainer(`kernel '${this.name}': ${SENTENCES[answer] ?? `code ${answer}`}`);
    } catch (error) {
      if (error instanceof DamagedContainer) throw error;
      if (!(error instanceof WebAssembly.RuntimeError || error instanceof RangeError ||
            error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError)) {
        throw error;
      }
      throw new DamagedContainer(`kernel '${this.name}': ${error.message}`);
    }
  }
}

// ABI v1: the host lays everything out past the module's own pages, asks for the bound, makes room
// and calls. Whatever the module writes is a size, checked before it is used.
function call(module, params, inputs, nOut, limits) {
  const { memory, run } = new WebAssembly.Instance(module, {}).exports;
  const base = memory.buffer.byteLength;
  const words = 7 + 2 * inputs.length + 3 * nOut;
  let end = align(base + 4 * words);
  const place = (size) => {
    const at = end;
    end = align(end + size);
    if (end > limits.memoryBytes) throw new RangeError(`it needs ${end} bytes of memory`);
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE);
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
  const fill = (op, outs, scratch) =>
    block().set([op, ...param, ins.length, ...ins.flat(), nOut, ...outs.flat(), ...scratch]);

  fill(INVERSE & ~1, Array(nOut).fill([0, 0, 0]), [0, 0]);
  let code = run(base);
  if (code !== 0) return code;
  const caps = Array.from({ length: nOut }, (_, port) => block()[outWord + 3 * port + 1]);
  const room = caps.reduce((sum, cap) => sum + cap, 0);
  if (room > limits.valueBytes) throw new RangeError(`it needs room for ${room} output bytes`);
  const scratch = block()[words - 1];
  const outs = caps.map((cap) => [place(cap), cap, 0]);
  fill(INVERSE, outs, [place(scratch), scratch]);
  code = run(base);
  if (code !== 0) return code;
  return outs.map(([at, cap], port) => {
    const length = block()[outWord + 3 * port + 2];
    if (length > cap) throw new RangeError("an output claims more than its room");
    return new Uint8Array(memory.buffer.slice(at, at + length));
  });
}

// The parameter bytes of a call: the width, where the types vary, and each number.
export function parameterBytes(manifest, width, raw) {
  return Uint8Array.from([...(manifest.variable.length ? [width] : []), ...raw.flatMap((one) => [...one])]);
}

// The element types that come out when these go in.
export function outputTypes(manifest, given) {
  let variable = null;
  if (manifest.variable.length) {
    const first = manifest.input.findIndex((port) => port.type === "T");
    if (first < 0 || manifest.input.slice(0, first).some((port) => port.count === "width")) {
      throw new DamagedContainer(`${manifest.name}: its type cannot be told from its inputs`);
    }
    variable = given[first];
    if (!manifest.variable.includes(variable)) {
      throw new DamagedContainer(`${manifest.name} does not take ${variable}`);
    }
  }
  const width = variable === null ? 1 : WIDTHS[variable];
  const expand = (ports) =>
    ports.flatMap(({ type, count }) =>
      Array(count === "width" ? width : 1).fill(type === "T" ? variable : type));
  const wanted = expand(manifest.input);
  if (wanted.length !== given.length || wanted.some((type, at) => type !== given[at])) {
    throw new DamagedContainer(`${manifest.name} takes ${wanted}, not ${given}`);
  }
  return { types: expand(manifest.output), width };
}

// Whether a plan says which streams the kernel takes, rather than one that it goes on from.
export const takesSeveral = ({ input }) =>
  input.length > 1 || input.some((port) => port.count === "width");

function manifestOf(wasm) {
  const fields = new Fields(wasm, "a kernel");
  if (hex(fields.take(8)) !== "0061736d01000000") throw new DamagedContainer("a kernel is no module");
  let found = null;
  while (fields.at < wasm.length) {
    const kind = fields.byte();
    const section = new Fields(fields.take(leb(fields)), "a kernel's section");
    // Neither imports nor a start function: nothing runs before it is called.
    if (kind === 2 || kind === 8) throw new DamagedContainer("a kernel asks for more than it may");
    if (kind !== 0) continue;
    if (decoded(section.take(leb(section))) === SECTION && found === null) {
      found = checked(new Node(section.data.subarray(section.at)).whole());
    }
  }
  if (found === null) throw new DamagedContainer("a kernel carries no manifest");
  return found;
}

// A length in a module: at most 32 bits, not always in its shortest form.
function leb(fields) {
  let value = 0;
  for (let place = 0; place < 5; place++) {
    const byte = fields.byte();
    value += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return value;
  }
  throw new DamagedContainer("a kernel holds a number that is too long");
}

function decoded(bytes) {
  try {
    return text.decode(bytes);
  } catch {
    throw new DamagedContainer("a kernel holds text that is not UTF-8");
  }
}

// What decoding needs of a manifest; the rest is for people and planners.
function checked(node) {
  const is = (holds) => {
    if (!holds) throw new DamagedContainer("a kernel's manifest is malformed");
  };
  is(node instanceof Map && node.get("abi") === 1n && typeof node.get("name") === "string");
  const rows = (key) => {
    const list = node.get(key);
    is(Array.isArray(list) && list.length <= 32 && list.every((row) => row instanceof Map));
    return list;
  };
  const types = node.get("types");
  is(types instanceof Map);
  const variable = types.get("T") ?? [];
  is(Array.isArray(variable) && variable.every((type) => Object.hasOwn(WIDTHS, type)));
  const ports = (key) => rows(key).map((row) => {
    const port = { name: row.get("name"), type: row.get("type"), count: row.get("count") };
    is(Object.hasOwn(WIDTHS, port.type) || (port.type === "T" && variable.length > 0));
    is(port.count === 1n || (port.count === "width" && variable.length > 0));
    return port;
  });
  const parameter = rows("parameter").map((row) => {
    const one = {
      name: row.get("name"), min: row.get("min"), max: row.get("max"), default: row.get("default"),
      signed: row.get("signed"),
    };
    is(typeof one.min === "bigint" && typeof one.max === "bigint" && typeof one.signed === "boolean");
    return one;
  });
  const made = { name: node.get("name"), variable, input: ports("input"), output: ports("output"), parameter };
  is(made.input.length > 0 && made.output.length > 0);
  return made;
}

// A canonical node, as far as manifests go: maps, lists, text, whole numbers, true and false.
class Node {
  constructor(data) {
    this.fields = new Fields(data, "a kernel's manifest");
  }

  whole() {
    const value = this.value(0);
    this.fields.end();
    return value;
  }

  value(depth) {
    if (depth > 8) throw new DamagedContainer("a kernel's manifest is too deep");
    const head = this.fields.byte();
    if (head < 0x80) return BigInt(head);
    if (head < 0x90) return this.map(head & 0x0f, depth);
    if (head < 0xa0) return this.list(head & 0x0f, depth);
    if (head < 0xc0) return decoded(this.fields.take(head & 0x1f));
    if (head >= 0xe0) return BigInt(head) - 256n;
    switch (head) {
      case 0xc2: case 0xc3: return head === 0xc3;
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return this.integer(1 << (head - 0xcc));
      case 0xd0: case 0xd1: case 0xd2: case 0xd3:
        return BigInt.asIntN(8 << (head - 0xd0), this.integer(1 << (head - 0xd0)));
      case 0xd9: case 0xda: return decoded(this.fields.take(Number(this.integer(head - 0xd8))));
      case 0xdc: return this.list(Number(this.integer(2)), depth);
      case 0xde: return this.map(Number(this.integer(2)), depth);
      default: throw new DamagedContainer("a kernel's manifest holds what no manifest holds");
    }
  }

  integer(size) {
    return this.fields.take(size).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  list(count, depth) {
    return Array.from({ length: count }, () => this.value(depth + 1));
  }

  map(count, depth) {
    return new Map(this.list(2 * count, depth).flatMap((key, at, all) =>
      at % 2 ? [] : [[key, all[at + 1]]]));
  }
}
