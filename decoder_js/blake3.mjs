// BLAKE3 (unkeyed, 32 bytes), of bytes that come piece by piece.

const IV = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19);
const CHUNK = 1024, BLOCK = 64;
const CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8;

// The order in which each of the seven rounds reads the sixteen words of a block.
const SCHEDULE = (() => {
  const step = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
  const rounds = [[...step.keys()]];
  while (rounds.length < 7) rounds.push(step.map((at) => rounds.at(-1)[at]));
  return Uint8Array.from(rounds.flat());
})();

// The chaining value after one block, written to `out`, which may be `value`.
//
// The sixteen words of the state are variables and the eight steps of a round stand one by one,
// because an array and a function for them take three times as long.
function compress(value, m, counter, length, flags, out) {
  let a = value[0], b = value[1], c = value[2], d = value[3];
  let e = value[4], f = value[5], g = value[6], h = value[7];
  let i = IV[0], j = IV[1], k = IV[2], l = IV[3];
  let w = counter | 0, x = Math.floor(counter / 2 ** 32) | 0, y = length, z = flags;
  for (let at = 0; at < 112; at += 16) {
    a = (a + e + m[SCHEDULE[at + 0]]) | 0; w ^= a; w = (w >>> 16) | (w << 16);
    i = (i + w) | 0; e ^= i; e = (e >>> 12) | (e << 20);
    a = (a + e + m[SCHEDULE[at + 1]]) | 0; w ^= a; w = (w >>> 8) | (w << 24);
    i = (i + w) | 0; e ^= i; e = (e >>> 7) | (e << 25);
    b = (b + f + m[SCHEDULE[at + 2]]) | 0; x ^= b; x = (x >>> 16) | (x << 16);
    j = (j + x) | 0; f ^= j; f = (f >>> 12) | (f << 20);
    b = (b + f + m[SCHEDULE[at + 3]]) | 0; x ^= b; x = (x >>> 8) | (x << 24);
    j = (j + x) | 0; f ^= j; f = (f >>> 7) | (f << 25);
    c = (c + g + m[SCHEDULE[at + 4]]) | 0; y ^= c; y = (y >>> 16) | (y << 16);
    k = (k + y) | 0; g ^= k; g = (g >>> 12) | (g << 20);
    c = (c + g + m[SCHEDULE[at + 5]]) | 0; y ^= c; y = (y >>> 8) | (y << 24);
    k = (k + y) | 0; g ^= k; g = (g >>> 7) | (g << 25);
    d = (d + h + m[SCHEDULE[at + 6]]) | 0; z ^= d; z = (z >>> 16) | (z << 16);
    l = (l + z) | 0; h ^= l; h = (h >>> 12) | (h << 20);
    d = (d + h + m[SCHEDULE[at + 7]]) | 0; z ^= d; z = (z >>> 8) | (z << 24);
    l = (l + z) | 0; h ^= l; h = (h >>> 7) | (h << 25);
    a = (a + f + m[SCHEDULE[at + 8]]) | 0; z ^= a; z = (z >>> 16) | (z << 16);
    k = (k + z) | 0; f ^= k; f = (f >>> 12) | (f << 20);
    a = (a + f + m[SCHEDULE[at + 9]]) | 0; z ^= a; z = (z >>> 8) | (z << 24);
    k = (k + z) | 0; f ^= k; f = (f >>> 7) | (f << 25);
    b = (b + g + m[SCHEDULE[at + 10]]) | 0; w ^= b; w = (w >>> 16) | (w << 16);
    l = (l + w) | 0; g ^= l; g = (g >>> 12) | (g << 20);
    b = (b + g + m[SCHEDULE[at + 11]]) | 0; w ^= b; w = (w >>> 8) | (w << 24);
    l = (l + w) | 0; g ^= l; g = (g >>> 7) | (g << 25);
    c = (c + h + m[SCHEDULE[at + 12]]) | 0; x ^= c; x = (x >>> 16) | (x << 16);
    i = (i + x) | 0; h ^= i; h = (h >>> 12) | (h << 20);
    c = (c + h + m[SCHEDULE[at + 13]]) | 0; x ^= c; x = (x >>> 8) | (x << 24);
    i = (i + x) | 0; h ^= i; h = (h >>> 7) | (h << 25);
    d = (d + e + m[SCHEDULE[at + 14]]) | 0; y ^= d; y = (y >>> 16) | (y << 16);
    j = (j + y) | 0; e ^= j; e = (e >>> 12) | (e << 20);
    d = (d + e + m[SCHEDULE[at + 15]]) | 0; y ^= d; y = (y >>> 8) | (y << 24);
    j = (j + y) | 0; e ^= j; e = (e >>> 7) | (e << 25);
  }
  out[0] = a ^ i;
  out[1] = b ^ j;
  out[2] = c ^ k;
  out[3] = d ^ l;
  out[4] = e ^ w;
  out[5] = f ^ x;
  out[6] = g ^ y;
  out[7] = h ^ z;
}

const words = new Int32Array(16);
const padded = new Uint8Array(BLOCK);

function load(data, at, length) {
  let from = data, start = at;
  if (length < BLOCK) {
    padded.fill(0);
    padded.set(data.subarray(at, at + length));
    from = padded, start = 0;
  }
  for (let word = 0; word < 16; word++, start += 4) {
    words[word] =
      from[start] | (from[start + 1] << 8) | (from[start + 2] << 16) | (from[start + 3] << 24);
  }
}

// The value of one chunk of at most 1,024 bytes.
function chunkValue(data, at, length, counter, last) {
  const value = IV.slice();
  for (let done = 0; ; done += BLOCK) {
    const size = Math.min(BLOCK, length - done);
    const ends = done + BLOCK >= length;
    load(data, at + done, size);
    const flags = (done ? 0 : CHUNK_START) | (ends ? CHUNK_END | last : 0);
    compress(value, words, counter, size, flags, value);
    if (ends) return value;
  }
}

function parentValue(left, right, last) {
  words.set(left, 0);
  words.set(right, 8);
  const value = new Int32Array(8);
  compress(IV, words, 0, BLOCK, PARENT | last, value);
  return value;
}

export class Blake3 {
  #chunk = new Uint8Array(CHUNK);
  #held = 0;
  #count = 0;
  #stack = []; // values of whole subtrees, the largest first

  update(data) {
    let at = 0;
    while (at < data.length) {
      // The last chunk of all is the root's, so a full one waits until more comes.
      if (this.#held === CHUNK) this.#add(this.#chunk, 0);
      if (this.#held === 0 && data.length - at > CHUNK) {
        this.#add(data, at);
        at += CHUNK;
        continue;
      }
      const size = Math.min(CHUNK - this.#held, data.length - at);
      this.#chunk.set(data.subarray(at, at + size), this.#held);
      this.#held += size;
      at += size;
    }
    return this;
  }

  #add(data, at) {
    let value = chunkValue(data, at, CHUNK, this.#count++, 0);
    for (let total = this.#count; total % 2 === 0; total /= 2) {
      value = parentValue(this.#stack.pop(), value, 0);
    }
    this.#stack.push(value);
    this.#held = 0;
  }

  digest() {
    const stack = [...this.#stack];
    const only = stack.length === 0;
    let value = chunkValue(this.#chunk, 0, this.#held, this.#count, only ? ROOT : 0);
    while (stack.length) value = parentValue(stack.pop(), value, stack.length === 0 ? ROOT : 0);
    const out = new DataView(new ArrayBuffer(32));
    value.forEach((word, at) => out.setInt32(4 * at, word, true));
    return new Uint8Array(out.buffer);
  }
}

export const blake3 = (data) => new Blake3().update(data).digest();
