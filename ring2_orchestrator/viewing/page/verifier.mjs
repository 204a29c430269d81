// A worker that decodes one container after the other and compares. Whoever waits too long ends it.
//
// It is told `{ kernels }` once, and then `{ id, file, other, allow }`: it answers with `opened`,
// `progress` and one `verdict`, each with that id. Files are read where they are needed, so that none
// has to fit into memory.
import { Blake3, DamagedContainer, Unavailable, open } from "./decoder/container.mjs";
import { hex } from "./decoder/fields.mjs";
import { Kernel } from "./decoder/kernel.mjs";
import { trees } from "./decoder/tree.mjs";
import { cidText } from "./names.mjs";

const EVERY_MS = 100, CONTEXT = 8, CHUNK = 1 << 20;
const MOST_PLANS = 40, MOST_LINES = 300;
const reader = new FileReaderSync();
let kernels = [];

const bytesOf = (file, begin, end) => new Uint8Array(reader.readAsArrayBuffer(file.slice(begin, end)));

const sourceOf = (file) => ({
  size: file.size,
  read: (offset, size) => bytesOf(file, offset, Math.min(offset + size, file.size)),
});

onmessage = ({ data }) => {
  if (data.kernels) {
    kernels = framed(data.kernels).map((wasm) => new Kernel(wasm));
    return;
  }
  const say = (kind, more) => postMessage({ id: data.id, kind, ...more });
  try {
    say("verdict", verdict(data, say));
  } catch (error) {
    const kind = error instanceof DamagedContainer ? "damaged" : error instanceof Unavailable ? "refused" : "failed";
    say("verdict", { verdict: kind, why: error.message || String(error) });
  }
};

function verdict({ file, other, allow }, say) {
  const started = performance.now();
  const container = open(sourceOf(file), { kernels, allowForeignKernels: allow });
  say("opened", {
    facts: {
      cid: cidText(container.digest), length: container.length, size: file.size,
      version: container.version, contents: container.contents, blockBytes: container.blockBytes,
      segments: container.segments.length, kernels: namesIn(container),
    },
    plans: drawn(trees(container)),
  });
  const compared = other ? new Comparison(other) : null;
  const hasher = new Blake3();
  let done = 0, told = performance.now();
  const found = {};
  try {
    for (const piece of container.pieces()) {
      hasher.update(piece);
      compared?.take(piece);
      done += piece.length;
      const now = performance.now();
      if (now - told > EVERY_MS) {
        say("progress", { done });
        told = now;
      }
    }
    found.verdict = "exact";
  } catch (error) {
    if (!(error instanceof DamagedContainer)) throw error;
    found.verdict = "damaged";
    found.why = error.message;
  }
  found.digest = hex(hasher.digest());
  found.came = done === container.length ? cidText(hasher.digest()) : null;
  found.done = done;
  found.seconds = (performance.now() - started) / 1000;
  if (compared) found.compared = compared.result(found.verdict === "exact");
  return found;
}

function namesIn(container) {
  const plans = new Set(container.segments.map(({ plan }) => plan).filter((plan) => plan !== null));
  const names = [...plans].flatMap(({ steps }) => steps.map(({ kernel }) => kernel?.name));
  return [...new Set(names.filter((name) => name))].sort();
}

// The trees line by line, each with its depth: a hostile plan is deeper than anything that recurs.
function drawn(all) {
  return {
    count: all.length,
    trees: all.slice(0, MOST_PLANS).map(({ originalBytes, root }) => {
      const lines = [], waiting = [[root, 0]];
      while (waiting.length && lines.length < MOST_LINES) {
        const [{ label, type, bytes, branches }, depth] = waiting.pop();
        lines.push({ label, type, bytes, depth });
        waiting.push(...branches.map((one) => [one, depth + 1]).reverse());
      }
      return { originalBytes, bytes: root.bytes, lines, more: waiting.length > 0 };
    }),
  };
}

// Modules one after the other, each behind its length.
function framed(buffer) {
  const view = new DataView(buffer);
  const found = [];
  for (let at = 0; at < buffer.byteLength;) {
    const size = view.getUint32(at, true);
    found.push(new Uint8Array(buffer, at + 4, size));
    at += 4 + size;
  }
  return found;
}

// What is decoded beside another file: the first byte that differs, and what stands around it.
class Comparison {
  #file;
  #at = 0;
  #held = [];
  #first = null;

  constructor(file) {
    this.#file = file;
  }

  take(piece) {
    if (this.#first === null) {
      for (let begin = 0; begin < piece.length; begin += CHUNK) {
        const part = piece.subarray(begin, begin + CHUNK);
        const there = bytesOf(this.#file, this.#at + begin, this.#at + begin + part.length);
        const place = part.findIndex((byte, at) => byte !== there[at]);
        if (place < 0) continue;
        this.#note(this.#at + begin + place, piece, begin + place);
        break;
      }
    } else if (this.#first.decoded.length < 2 * CONTEXT) {
      const more = 2 * CONTEXT - this.#first.decoded.length;
      this.#first.decoded.push(...piece.subarray(0, more));
    }
    this.#held = [...this.#held, ...piece.subarray(Math.max(0, piece.length - CONTEXT))].slice(-CONTEXT);
    this.#at += piece.length;
  }

  // Around the byte at that offset, which is the one at `place` of the piece.
  #note(offset, piece, place) {
    const begin = Math.max(0, offset - CONTEXT);
    const lacking = Math.max(0, offset - place - begin);
    const earlier = lacking ? this.#held.slice(-lacking) : [];
    const from = Math.max(0, place - CONTEXT);
    this.#first = {
      offset, begin,
      decoded: [...earlier, ...piece.subarray(from, place + CONTEXT)],
      other: [...bytesOf(this.#file, begin, offset + CONTEXT)],
    };
  }

  result(whole) {
    const sizes = { decodedSize: this.#at, otherSize: this.#file.size };
    if (this.#first) return { same: false, ...this.#first, ...sizes };
    if (!whole) return { same: null, ...sizes };
    if (this.#at === this.#file.size) return { same: true, ...sizes };
    const begin = Math.max(0, this.#at - CONTEXT);
    return {
      same: false, offset: this.#at, begin, decoded: this.#held,
      other: [...bytesOf(this.#file, begin, this.#at + CONTEXT)], ...sizes,
    };
  }
}
