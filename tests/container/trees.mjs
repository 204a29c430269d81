// The trees of a container's plans: node trees.mjs FILE.rdx
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readKernels } from "../../decoder_js/cli.mjs";
import { open } from "../../decoder_js/container.mjs";
import { trees } from "../../decoder_js/tree.mjs";

const kernels = readKernels(join(dirname(fileURLToPath(import.meta.url)), "../../ring1_kernels"));
console.log(JSON.stringify(trees(open(new Uint8Array(readFileSync(process.argv[2])), { kernels }))));
