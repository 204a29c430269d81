// Names of bytes as people see them: CIDv1, raw, BLAKE3-256, in base32.
const LETTERS = "abcdefghijklmnopqrstuvwxyz234567";

export function cidText(digest) {
  let text = "b", held = 0, bits = 0;
  for (const byte of [0x01, 0x55, 0x1e, 0x20, ...digest]) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += LETTERS[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits ? text + LETTERS[(held << (5 - bits)) & 31] : text;
}
