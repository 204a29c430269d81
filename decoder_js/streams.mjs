// Standard streams and other pipes in Node, as slow as they may be and whether or not they block.
import { createReadStream, openSync, mkdtempSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Unavailable } from "./fields.mjs";

// All of these bytes to standard output, once it took them. What is broken has the code EPIPE.
export async function write(piece) {
  for (let at = 0; at < piece.length;) {
    try {
      // Not the stream of Node alone: for files it takes a short write for a whole one.
      at += writeSync(1, piece, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw unwritable(error);
      await streamed(piece.subarray(at)); // it is full for the moment, and does not block
      return;
    }
  }
}

function streamed(bytes) {
  return new Promise((resolve, reject) => {
    const fail = (error) => reject(unwritable(error));
    process.stdout.once("error", fail);
    process.stdout.write(bytes, (error) => {
      if (error) return; // it is told as an event, too
      process.stdout.off("error", fail);
      resolve();
    });
  });
}

function unwritable(error) {
  if (error.code === "EPIPE") return error;
  return new Unavailable(`standard output cannot be written (${error.code}); send it where there is room`);
}

// A descriptor of an unnamed file that keeps what flows from a path, or from standard input for "-".
export async function spooled(path) {
  const folder = mkdtempSync(join(tmpdir(), "redoxa-"));
  const file = openSync(join(folder, "kept"), "wx+");
  rmSync(folder, { recursive: true });
  for await (const chunk of path === "-" ? process.stdin : createReadStream(path)) {
    for (let at = 0; at < chunk.length;) at += keep(file, chunk, at);
  }
  return file;
}

function keep(file, chunk, at) {
  try {
    return writeSync(file, chunk, at);
  } catch (error) {
    throw new Unavailable(`the container cannot be kept in ${tmpdir()} (${error.code}); make room there, or set TMPDIR`);
  }
}
