// Judges many containers: node mutants.mjs FILE FOLDER
//
// FILE holds a length in 32 bits and a container, again and again; FOLDER the kernels. One line for
// each: the hash of what was decoded, or the exit code of the refusal.
import { readFileSync } from "node:fs";
import { readKernels } from "../../decoder_js/cli.mjs";
import { DamagedContainer, Kernel, Unavailable, blake3, open } from "../../decoder_js/container.mjs";
import { hex } from "../../decoder_js/fields.mjs";

function verdict(bytes, kernels) {
  try {
    return hex(blake3(open(bytes, { kernels }).decode()));
  } catch (error) {
    if (error instanceof DamagedContainer) return "4";
    if (error instanceof Unavailable) return "5";
    return String(error.stack).replaceAll("\n", " ");
  }
}

const file = readFileSync(process.argv[2]);
const kernels = readKernels(process.argv[3]).map((wasm) => new Kernel(wasm));
const lines = [];
for (let at = 0; at < file.length;) {
  const length = file.readUInt32LE(at);
  lines.push(verdict(new Uint8Array(file.subarray(at + 4, at + 4 + length)), kernels));
  at += 4 + length;
}
console.log(lines.join("\n"));
