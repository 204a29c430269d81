// node decoder_js/cli.mjs FILE.rdx [--kernels FOLDER] [--range START:END] [--allow-foreign-kernels]
//
// Writes the original to standard output. Its hash is checked before the first byte is written, so
// what is longer than memory is decoded twice. FILE may be a pipe, and - is standard input; both are
// kept in an unnamed file meanwhile. A directory is refused. Exit codes are those of `redoxa unpack`.
import {
  closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, readdirSync, realpathSync, statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DamagedContainer, Unavailable, open } from "./container.mjs";
import { spooled, write } from "./streams.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));

const USAGE = "usage: cli.mjs FILE.rdx [--kernels FOLDER] [--range START:END] [--allow-foreign-kernels]";

class Usage extends Error {}

// The modules of a folder of kernels: FOLDER/NAME/NAME.wasm, or FOLDER/NAME.wasm.
export function readKernels(folder) {
  const paths = readdirSync(folder).flatMap((name) =>
    name.endsWith(".wasm") ? [join(folder, name)] : [join(folder, name, `${name}.wasm`)]);
  return paths.filter((path) => existsSync(path)).sort().map((path) => new Uint8Array(readFileSync(path)));
}

// A file as a source of `open`: read where it is needed, never as a whole.
export function fileSource(file) {
  const { size } = fstatSync(file);
  const read = (offset, wanted) => {
    const part = new Uint8Array(Math.max(0, Math.min(wanted, size - offset)));
    let done = 0;
    while (done < part.length) {
      const count = readSync(file, part, done, part.length - done, offset + done);
      if (count === 0) throw new DamagedContainer("the file became shorter while it was read");
      done += count;
    }
    return part;
  };
  return { size, read };
}

function parse(words) {
  const options = { kernels: join(HERE, "..", "ring1_kernels"), range: null, allow: false, file: null };
  for (let at = 0; at < words.length; at++) {
    if (words[at] === "--allow-foreign-kernels") options.allow = true;
    else if (words[at] === "--kernels" && at + 1 < words.length) options.kernels = words[++at];
    else if (words[at] === "--range" && at + 1 < words.length) {
      const found = /^(\d{1,15}):(\d{1,15})$/.exec(words[++at]);
      if (!found) throw new Usage(`${words[at]} is no range of bytes: write START:END`);
      options.range = [Number(found[1]), Number(found[2])];
    } else if (options.file === null && /^(?!-.)/.test(words[at])) options.file = words[at];
    else throw new Usage(`${words[at]} is not understood; ${USAGE}`);
  }
  if (options.file === null) throw new Usage(`name a container; ${USAGE}`);
  return options;
}

async function main(words) {
  const options = parse(words);
  const flows = options.file === "-" || statSync(options.file).isFIFO();
  const file = flows ? await spooled(options.file) : openSync(options.file, "r");
  try {
    const kernels = readKernels(options.kernels);
    const container = open(fileSource(file), { kernels, allowForeignKernels: options.allow });
    if (container.contents === "tree") {
      // Its bytes are an archive, and whoever takes them for a file has not got what was packed.
      throw new Usage(`${options.file} holds a directory, which this program cannot make; use redoxa unpack`);
    }
    if (options.range !== null) {
      await write(container.read(...options.range));
      return;
    }
    for (const piece of container.pieces()) void piece;
    for (const piece of container.pieces()) await write(piece);
  } finally {
    closeSync(file);
  }
}

const CODES = [[Usage, 2], [RangeError, 3], [DamagedContainer, 4], [Unavailable, 5]];
const BUG = 70;

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    // Whoever read the pipe has enough, and needs no words.
    if (error.code === "EPIPE") process.exit(141);
    const [, code] = CODES.find(([kind]) => error instanceof kind) ?? [null, error.code ? 3 : BUG];
    console.error(code === BUG ? error : `cli.mjs: ${error.message}`);
    process.exitCode = code; // and not at once: the sentence may still have to wait for a pipe
  }
}
