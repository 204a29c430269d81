// Reads vectors with the JavaScript decoder: node vectors.mjs FOLDER
//
// One line for each row of FOLDER/INDEX.tsv: its name, a tab, and what became of it: the hash of what
// was decoded, or the exit code of the refusal.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readKernels } from "../../decoder_js/cli.mjs";
import { DamagedContainer, Unavailable, blake3, open } from "../../decoder_js/container.mjs";
import { hex } from "../../decoder_js/fields.mjs";

function verdict(bytes, kernels, allowForeignKernels) {
  try {
    const container = open(bytes, { kernels, allowForeignKernels });
    const whole = container.decode();
    const middle = whole.length >> 1;
    const halves = [container.read(0, middle), container.read(middle, whole.length)];
    return hex(blake3(Buffer.concat(halves))) === hex(blake3(whole)) ? hex(blake3(whole)) : "ranges";
  } catch (error) {
    if (error instanceof DamagedContainer) return "4";
    if (error instanceof Unavailable) return "5";
    return String(error.stack);
  }
}

const folder = process.argv[2];
const kernels = readKernels(join(folder, "kernels"));
for (const line of readFileSync(join(folder, "INDEX.tsv"), "utf8").trim().split("\n").slice(1)) {
  const [name] = line.split("\t");
  const bytes = new Uint8Array(readFileSync(join(folder, `${name}.rdx`)));
  console.log(`${name}\t${verdict(bytes, kernels, name.endsWith("_allowed"))}`);
}
