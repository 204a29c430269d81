// Containers (`.rdx`) read and decoded: docs/formats/container.md is all this was written from.
//
//     const container = open(source, { kernels: [wasm, ...] });
//     for (const piece of container.pieces()) ...      // the original; its hash is checked at the end
//     container.read(begin, end)                       // a range; only the blocks that hold it
//
// A source is `{ size, read(offset, size) }`, and bytes are one, too. Nothing here needs more than a
// JavaScript engine with WebAssembly.
import { Blake3, blake3 } from "./blake3.mjs";
import { DamagedContainer, Fields, Unavailable, equal, hex, joined } from "./fields.mjs";
import { inflate } from "./inflate.mjs";
import { Kernel } from "./kernel.mjs";
import { readPlan, readTable, readType, undo, widthOf } from "./plan.mjs";

export { Blake3, DamagedContainer, Kernel, Unavailable, blake3 };

const MAGIC = [0x89, 0x52, 0x44, 0x58];
const MAX_METHOD = 65536, MAX_PARTS = 8 * 1024 * 1024;
const SECTIONS = { 1: MAX_METHOD, 2: MAX_PARTS, 3: MAX_PARTS, 4: MAX_PARTS };
// From version 3 on a section begins with its form: a type below, or the contents in parts; whether
// there is a block size, and, in version 4 alone and always, room.
const PARTS = 6, BLOCKS = 8, ROOM = 16;
const CHECK = 4, DIGEST = 32, FRONT = 57, CHUNK = 1 << 20;
const MIN_BLOCK = 65536, MAX_BLOCK = 64 * 1024 * 1024, MIB = 1024 * 1024;
const MAX_CARRIED = 16, MAX_MODULE = 1 << 20, MAX_PLANS = 1024, MAX_SEGMENTS = 65536;
const MAX_ALL_VALUES = 65536;
// Offsets are numbers here: they are exact below 2^53, and no file is longer.
const MAX_LENGTH = Number.MAX_SAFE_INTEGER;
const SLACK = 64 * 1024;
// No block counts as more bytes for each byte it stands for.
const MOST_EXPANSION = 1032;

// What undoing one block that counts as so many bytes may take.
const limitsOf = (length) => ({
  valueBytes: 4 * length + SLACK,
  workBytes: 256 * (length + SLACK),
  memoryBytes: 16 * length + 64 * MIB,
});

const damaged = (holds, sentence) => {
  if (!holds) throw new DamagedContainer(sentence);
};

const checkOf = (section) => blake3(section).subarray(0, CHECK);

// A container whose header is sound and whose blocks exactly fill the rest of it.
export function open(source, { kernels = [], allowForeignKernels = false } = {}) {
  const from = source instanceof Uint8Array ? bytesSource(source) : source;
  const { version, length, digest, section, start } = readFront(from);
  const fields = new Fields(section, "the container's plan");
  const known = kernels.map((one) => (one instanceof Kernel ? one : new Kernel(one)));
  const inParts = version === 2 || (version >= 3 && section.length > 0 && section[0] % BLOCKS >= PARTS);
  const header = inParts
    ? readParts(fields, length, version, known, allowForeignKernels)
    : readMethod(fields, length, version, known);
  return new Container(from, { ...header, version, length, digest }, start);
}

class Container {
  #source;
  #start;

  constructor(source, header, start) {
    this.#source = source;
    this.#start = start;
    Object.assign(this, header);
    let end = start;
    if (this.hasBlocks) {
      for (const block of this.#blocks()) end = block.offset + block.size;
    } else {
      end += this.length;
    }
    damaged(end <= source.size, "the container is cut short");
    damaged(end === source.size, `the container has ${source.size - end} bytes too many`);
  }

  // The original, piece by piece. Until this ended, what it gave is not to be trusted.
  *pieces() {
    const hasher = new Blake3();
    for (const piece of this.hasBlocks ? this.#decoded(0, this.length) : this.#stored(0, this.length)) {
      hasher.update(piece);
      yield piece;
    }
    damaged(equal(hasher.digest(), this.digest), "the container gives other bytes than were packed");
  }

  // The whole original.
  decode() {
    return joined([...this.pieces()]);
  }

  // The bytes of the original from `begin` up to `end`, checked.
  read(begin, end) {
    if (!(Number.isInteger(begin) && Number.isInteger(end) && 0 <= begin && begin <= end && end <= this.length)) {
      throw new RangeError(`bytes ${begin} to ${end} cannot be read: the container holds ${this.length}`);
    }
    if (begin === end) return new Uint8Array(0);
    if (this.hasBlocks) return joined([...this.#decoded(begin, end)]);
    for (const piece of this.pieces()) void piece; // the only check of what is stored in one piece
    return joined([...this.#stored(begin, end)]);
  }

  *#stored(begin, end) {
    for (let at = begin; at < end; at += CHUNK) {
      yield this.#source.read(this.#start + at, Math.min(CHUNK, end - at));
    }
  }

  *#decoded(begin, end) {
    for (const block of this.#blocks()) {
      if (block.begin >= end) return;
      if (block.begin + block.length <= begin) continue;
      const piece = decodeBlock(this.#source, block);
      yield piece.subarray(Math.max(begin - block.begin, 0), end - block.begin);
    }
  }

  // What is known of each block before it is decoded: `begin`, `length`, `plan`, and, where the plan
  // was used, how long each of its `streams` is.
  *extents() {
    if (!this.hasBlocks) return;
    for (const { begin, length, plan, streams, size } of this.#blocks()) {
      yield { begin, length, plan, streams, size };
    }
  }

  // The blocks in order: which bytes each stands for, and where it lies.
  *#blocks() {
    let offset = this.#start, begin = 0, index = 0;
    for (const { length: whole, plan } of this.segments) {
      const size = this.blockBytes || whole;
      for (let at = 0; at < whole; at += size) {
        const length = Math.min(size, whole - at);
        const counted = Math.max(length, Math.min(this.room, MOST_EXPANSION * length));
        const open = this.version >= 3 && begin + at + length === this.length;
        const block = readExtent(this.#source, { index, begin: begin + at, length, plan, open, counted }, offset);
        yield block;
        offset += block.size;
        index += 1;
      }
      begin += whole;
    }
  }
}

function bytesSource(bytes) {
  return { size: bytes.length, read: (offset, size) => bytes.subarray(offset, offset + size) };
}

function readFront(source) {
  const front = source.read(0, FRONT);
  damaged(front.length > 0 && MAGIC.every((byte, at) => at >= front.length || front[at] === byte),
    "this is not a Redoxa container");
  const fields = new Fields(front, "the container");
  fields.take(MAGIC.length);
  const version = fields.byte();
  damaged(Object.hasOwn(SECTIONS, version), `a container of version ${version} is not known here`);
  const length = fields.number(MAX_LENGTH, "its length");
  const digest = fields.take(DIGEST).slice();
  const size = fields.number(SECTIONS[version], "its section");
  const end = fields.at + size;
  const whole = source.read(0, end + CHECK);
  damaged(whole.length === end + CHECK, "the container ends too early");
  damaged(equal(checkOf(whole.subarray(0, end)), whole.subarray(end)),
    "the header is damaged: its check fails");
  return { version, length, digest, section: whole.slice(fields.at, end), start: end + CHECK };
}

// The kernels that fit a prefix. Of those, the reader's own go before what the container brings.
const finder = (kernels, foreign) => (prefix) => {
  const fitting = (some) => some.filter((kernel) => hex(kernel.digest.subarray(0, 4)) === prefix);
  const own = fitting(kernels), others = fitting(foreign);
  return { all: [...own, ...others], preferred: own.length ? own : others };
};

// What the section holds, as a number, the block size, and the room.
function readForm(fields, version) {
  const form = fields.byte();
  damaged(form >> 4 === (version >= 4 ? 1 : 0), "the container's plan is of no known form");
  const size = form & BLOCKS ? readBlockBytes(fields) : 0;
  const room = form & ROOM ? fields.number(MAX_BLOCK, "its room") : 0;
  damaged(size > 0 === (form & BLOCKS) > 0 && room > 0 === (form & ROOM) > 0,
    "the container's plan is not in its one form");
  return [form % BLOCKS, size, room];
}

function readBlockBytes(fields) {
  const size = fields.number(MAX_BLOCK, "its block size");
  damaged(size === 0 || size >= MIN_BLOCK, `the container has blocks of ${size} bytes`);
  return size;
}

function readBlocksAndType(fields) {
  const blockBytes = readBlockBytes(fields);
  return [fields.byte(), blockBytes, 0];
}

function readMethod(fields, length, version, kernels) {
  if (fields.data.length === 0) {
    damaged(version < 4, "the container has room for nothing");
    const segments = length ? [{ length, plan: null }] : [];
    return { hasBlocks: false, blockBytes: 0, room: 0, contents: "file", segments };
  }
  damaged(fields.data.length <= MAX_METHOD, "the container's plan is longer than one may be");
  const [type, blockBytes, room] = version < 3 ? readBlocksAndType(fields) : readForm(fields, version);
  const input = readType(fields, type);
  const table = readTable(fields, finder(kernels, []), version);
  const plan = readPlan(fields, input, table);
  fields.end();
  checkUse(table, [plan]);
  damaged(length > 0 && blockBytes < length && (blockBytes > 0 || length <= MAX_BLOCK),
    "the container divides its file wrongly");
  return { hasBlocks: true, blockBytes, room, contents: "file", segments: [{ length, plan }] };
}

function readParts(fields, length, version, kernels, allowForeign) {
  const [kind, blockBytes, room] = version < 3
    ? [PARTS + fields.byte(), readBlockBytes(fields), 0]
    : readForm(fields, version);
  const contents = ["file", "tree"][kind - PARTS];
  damaged(contents !== undefined, "the container holds neither a file nor a directory");
  const carried = readCarried(fields);
  const has = (kernel) => kernels.some((one) => equal(one.digest, kernel.digest));
  const foreign = carried.filter((kernel) => !has(kernel));
  if (foreign.length && !allowForeign) {
    throw new Unavailable("the container brings kernels of its own, and nobody allowed them to run");
  }
  const table = readTable(fields, finder(kernels, foreign), version);
  const plans = readPlans(fields, table);
  const segments = readSegments(fields, plans, length);
  fields.end();
  checkUse(table, plans);
  const first = plans.map((plan) => segments.findIndex((segment) => segment.plan === plan));
  damaged(first.every((place, at) => place >= 0 && (at === 0 || first[at - 1] < place)),
    "the container's plans are not in the order of their use");
  const longest = segments.reduce((most, segment) => Math.max(most, segment.length), 0);
  damaged(blockBytes < Math.max(longest, 1) && (blockBytes > 0 || longest <= MAX_BLOCK),
    "the container divides its file wrongly");
  // A file under one plan, or stored in one piece, needs no list of parts.
  const single = contents === "file" && carried.length === 0 && segments.length < 2;
  damaged(!single || (plans.length === 0 && blockBytes > 0), "the container lists one part");
  return { hasBlocks: true, blockBytes, room, contents, segments };
}

function readCarried(fields) {
  const count = fields.number(MAX_CARRIED, "the number of its own kernels");
  const carried = [];
  for (let at = 0; at < count; at++) {
    const size = fields.number(MAX_MODULE, "a kernel's size");
    const packed = fields.take(fields.number(MAX_PARTS, "a packed kernel's size"));
    carried.push(new Kernel(inflate(packed, size)));
  }
  const digests = carried.map((kernel) => hex(kernel.digest));
  damaged(digests.every((one, at) => at === 0 || digests[at - 1] < one),
    "the container brings its kernels in another order than theirs");
  return carried;
}

function readPlans(fields, table) {
  const count = fields.number(MAX_PLANS, "the number of plans");
  const plans = [];
  const seen = new Set();
  let values = 0;
  for (let at = 0; at < count; at++) {
    const begin = fields.at;
    plans.push(readPlan(fields, readType(fields), table));
    values += plans[at].types.length;
    damaged(values <= MAX_ALL_VALUES, `the container's plans have more than ${MAX_ALL_VALUES} values`);
    seen.add(hex(fields.data.subarray(begin, fields.at)));
  }
  damaged(seen.size === count, "the container has a plan twice");
  return plans;
}

function readSegments(fields, plans, length) {
  const count = fields.number(MAX_SEGMENTS, "the number of its parts");
  const segments = [];
  let sum = 0;
  for (let at = 0; at < count; at++) {
    const size = fields.number(length, "a part's length");
    const place = fields.number(plans.length, "a part's plan");
    damaged(size > 0, "a part of the container is empty");
    sum += size;
    damaged(sum <= length, "the parts of the container are not its file");
    segments.push({ length: size, plan: place ? plans[place - 1] : null });
  }
  damaged(sum === length, "the parts of the container are not its file");
  return segments;
}

function checkUse(table, plans) {
  const used = new Set(plans.flatMap((plan) => plan.steps.map((step) => step.kernel)));
  damaged(table.every((kernel) => used.has(kernel)), "the container names a kernel and does not use it");
}

// Where a block lies; a length that is only claimed costs nothing. The last stream of an open block
// has no length of its own: it ends where the container does.
function readExtent(source, block, offset) {
  const what = `block ${block.index}`;
  const count = block.plan === null ? 0 : block.plan.streams.length;
  const fields = new Fields(source.read(offset, 1 + 10 * count), what);
  const kind = fields.byte();
  let streams = null;
  let size = 1 + block.length + CHECK;
  if (kind === 1 && block.plan !== null) {
    const said = block.open ? count - 1 : count;
    streams = Array.from({ length: said }, () => fields.number(MAX_LENGTH, "a stream's length"));
    const tail = block.length % widthOf(block.plan.input);
    size = fields.at + streams.reduce((sum, length) => sum + length, 0) + tail + CHECK;
    if (block.open) {
      // The last stream is what is left: less than nothing where the block is cut short.
      streams.push(Math.max(source.size - offset - size, 0));
      size += streams[said];
    }
  } else {
    damaged(kind === 0, `${what} is of no known kind`);
  }
  damaged(size <= source.size - offset, `${what} is cut short or damaged`);
  return { ...block, offset, size, streams, head: fields.at };
}

function decodeBlock(source, block) {
  const what = `block ${block.index}`;
  const limits = limitsOf(block.counted);
  damaged(block.size <= limits.valueBytes + block.length, `${what} is longer than it could be`);
  const data = source.read(block.offset, block.size);
  damaged(data.length === block.size, `${what} is cut short`);
  const end = data.length - CHECK;
  damaged(equal(checkOf(data.subarray(0, end)), data.subarray(end)), `${what}: its check fails`);
  if (block.streams === null) return data.slice(1, end);
  let at = block.head;
  const streams = block.streams.map((length) => data.subarray(at, (at += length)));
  const body = undo(block.plan, streams, limits);
  damaged(body.length + end - at === block.length, `${what} does not decode to its own length`);
  return joined([body, data.subarray(at, end)]);
}
