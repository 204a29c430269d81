// The zlib format (RFC 1950, RFC 1951), read strictly: exactly so many bytes come out, and nothing
// follows the end. Engines have a decoder of their own, but not all of them say where it stopped.
import { DamagedContainer } from "./fields.mjs";

const LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99,
  115, 131, 163, 195, 227, 258];
const DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025,
  1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577];
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

function fail() {
  throw new DamagedContainer("a kernel that the container brings does not unpack");
}

class Bits {
  constructor(data, at) {
    this.data = data;
    this.at = at;
    this.bit = 0;
  }

  take(count) {
    let value = 0;
    for (let at = 0; at < count; at++) {
      if (this.at >= this.data.length) fail();
      value |= ((this.data[this.at] >> this.bit) & 1) << at;
      this.bit = (this.bit + 1) & 7;
      if (this.bit === 0) this.at += 1;
    }
    return value;
  }

  bytes(count) {
    if (this.bit) this.at += 1;
    this.bit = 0;
    if (count > this.data.length - this.at) fail();
    this.at += count;
    return this.data.subarray(this.at - count, this.at);
  }
}

// A Huffman code: how many codes there are of each length, and the symbols in their order.
function code(lengths, { alone = false } = {}) {
  const counts = Array(16).fill(0);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  let left = 1;
  for (let length = 1; length < 16; length++) left = 2 * left - counts[length];
  // A code is whole, except that of the distances when there is but one, or none.
  const used = counts.reduce((sum, count) => sum + count, 0);
  if (left < 0 || (left > 0 && !(alone && used <= 1 && counts[1] === used))) fail();
  const symbols = [];
  for (let length = 1; length < 16; length++) {
    lengths.forEach((one, symbol) => one === length && symbols.push(symbol));
  }
  return { counts, symbols };
}

function symbol(bits, { counts, symbols }) {
  for (let length = 1, value = 0, first = 0, index = 0; length < 16; length++) {
    value |= bits.take(1);
    if (value - counts[length] < first) return symbols[index + value - first];
    index += counts[length];
    first = (first + counts[length]) << 1;
    value <<= 1;
  }
  return fail();
}

function fixed() {
  const lengths = Array.from({ length: 288 }, (_, at) => (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : 8));
  return [code(lengths), code(Array(32).fill(5))];
}

function dynamic(bits) {
  const literals = bits.take(5) + 257, distances = bits.take(5) + 1, count = bits.take(4) + 4;
  if (literals > 286 || distances > 30) fail();
  const first = Array(19).fill(0);
  for (let at = 0; at < count; at++) first[ORDER[at]] = bits.take(3);
  const lengthCode = code(first);
  const lengths = [];
  while (lengths.length < literals + distances) {
    const one = symbol(bits, lengthCode);
    if (one < 16) lengths.push(one);
    else if (one === 16 && lengths.length === 0) fail();
    else if (one === 16) lengths.push(...Array(3 + bits.take(2)).fill(lengths.at(-1)));
    else lengths.push(...Array(one === 17 ? 3 + bits.take(3) : 11 + bits.take(7)).fill(0));
  }
  if (lengths.length > literals + distances || lengths[256] === 0) fail();
  return [code(lengths.slice(0, literals), { alone: true }), code(lengths.slice(literals), { alone: true })];
}

export function inflate(data, size) {
  if (data.length < 6 || (data[0] & 0x8f) !== 8 || data[1] & 0x20 || (256 * data[0] + data[1]) % 31) fail();
  const window = 256 << (data[0] >> 4);
  const out = new Uint8Array(size);
  const bits = new Bits(data, 2);
  let at = 0;
  for (let last = 0; !last;) {
    last = bits.take(1);
    const kind = bits.take(2);
    if (kind === 3) fail();
    if (kind === 0) {
      const [low, high, lowNot, highNot] = bits.bytes(4);
      const length = low | (high << 8);
      if ((length ^ 0xffff) !== (lowNot | (highNot << 8)) || length > size - at) fail();
      out.set(bits.bytes(length), at);
      at += length;
      continue;
    }
    const [literals, distances] = kind === 1 ? fixed() : dynamic(bits);
    for (let one; (one = symbol(bits, literals)) !== 256;) {
      if (one < 256) {
        if (at >= size) fail();
        out[at++] = one;
        continue;
      }
      const place = one - 257;
      if (place >= LENGTHS.length) fail();
      const length = LENGTHS[place] + bits.take(place < 8 || place === 28 ? 0 : (place >> 2) - 1);
      const step = symbol(bits, distances);
      if (step >= DISTANCES.length) fail();
      const distance = DISTANCES[step] + bits.take(step < 4 ? 0 : (step >> 1) - 1);
      if (distance > at || distance > window || length > size - at) fail();
      for (let left = length; left > 0; left--, at++) out[at] = out[at - distance];
    }
  }
  const [a, b, c, d] = bits.bytes(4);
  if (at !== size || bits.at !== data.length || ((a << 24) | (b << 16) | (c << 8) | d) !== adler32(out)) fail();
  return out;
}

function adler32(data) {
  let low = 1, high = 0;
  for (const byte of data) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return (high << 16) | low;
}
