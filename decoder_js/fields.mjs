// Bytes taken off the front of a section, one field after another, none read past its end.

// The bytes are not a container, or not the one that was written.
export class DamagedContainer extends Error {}

// What the container needs is not here: a kernel, or leave to run one.
export class Unavailable extends Error {}

export const equal = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);

export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Fields {
  constructor(data, what) {
    this.data = data;
    this.what = what;
    this.at = 0;
  }

  take(size) {
    if (size > this.data.length - this.at) throw new DamagedContainer(`${this.what} ends too early`);
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  byte() {
    return this.take(1)[0];
  }

  // A number in LEB128, in its shortest form and below 2^64, as a BigInt.
  big() {
    let value = 0n;
    for (let place = 0; place < 10; place++) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(7 * place);
      if (byte < 0x80) {
        if (value >> 64n || (place && !byte)) break;
        return value;
      }
    }
    throw new DamagedContainer(`${this.what} holds a number that is not in its one form`);
  }

  // The same, of what has to be at most so much.
  number(most, name) {
    const value = this.big();
    if (value > BigInt(most)) {
      throw new DamagedContainer(`${this.what}: ${name} is ${value}, and ${most} at most`);
    }
    return Number(value);
  }

  end() {
    const rest = this.data.length - this.at;
    if (rest) throw new DamagedContainer(`${this.what} has ${rest} bytes too many`);
  }
}

export function varint(value) {
  const out = [];
  for (value = BigInt(value); value >= 0x80n; value >>= 7n) out.push(Number(value & 0x7fn) | 0x80);
  out.push(Number(value));
  return Uint8Array.from(out);
}

export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
