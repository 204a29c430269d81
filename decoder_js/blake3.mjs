// BLAKE3 (unkeyed, 32 bytes), of bytes that come piece by piece.

const IV = Uint32Array.of(
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

const state = new Uint32Array(16);

function mix(a, b, c, d, x, y) {
  const s = state;
  let p = (s[a] + s[b] + x) | 0, q = s[d] ^ p;
  q = (q >>> 16) | (q << 16);
  let r = (s[c] + q) | 0, t = s[b] ^ r;
  t = (t >>> 12) | (t << 20);
  p = (p + t + y) | 0;
  q ^= p;
  q = (q >>> 8) | (q << 24);
  r = (r + q) | 0;
  t ^= r;
  s[a] = p, s[b] = (t >>> 7) | (t << 25), s[c] = r, s[d] = q;
}

// The chaining value after one block, written to `out`, which may be `value`.
function compress(value, words, counter, length, flags, out) {
  state.set(value, 0);
  state.set(IV.subarray(0, 4), 8);
  state[12] = counter;
  state[13] = Math.floor(counter / 2 ** 32);
  state[14] = length;
  state[15] = flags;
  for (let at = 0; at < 112; at += 16) {
    const word = (place) => words[SCHEDULE[at + place]];
    mix(0, 4, 8, 12, word(0), word(1));
    mix(1, 5, 9, 13, word(2), word(3));
    mix(2, 6, 10, 14, word(4), word(5));
    mix(3, 7, 11, 15, word(6), word(7));
    mix(0, 5, 10, 15, word(8), word(9));
    mix(1, 6, 11, 12, word(10), word(11));
    mix(2, 7, 8, 13, word(12), word(13));
    mix(3, 4, 9, 14, word(14), word(15));
  }
  for (let at = 0; at < 8; at++) out[at] = state[at] ^ state[at + 8];
}

const words = new Uint32Array(16);
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
  const value = new Uint32Array(8);
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
    value.forEach((word, at) => out.setUint32(4 * at, word, true));
    return new Uint8Array(out.buffer);
  }
}

export const blake3 = (data) => new Blake3().update(data).digest();
