// Containers in turn, each handed to the worker; a worker that is stopped is replaced.
import { ask } from "./dom.mjs";

const ENDING = ".rdx";

// Which of these files are containers, and which of the others each is compared with.
export function paired(files) {
  const containers = files.filter((file) => file.name.endsWith(ENDING));
  if (!containers.length) return files.map((file) => ({ file, other: null }));
  const others = files.filter((file) => !file.name.endsWith(ENDING));
  const only = containers.length === 1 && others.length === 1 ? others[0] : null;
  return containers.map((file) => {
    const bare = file.name.slice(0, -ENDING.length);
    const same = others.find(({ name }) => name === bare || name.replace(/\.[^.]+$/, "") === bare);
    return { file, other: same ?? only };
  });
}

export class Queue {
  #results = [];
  #show;
  #worker = null;
  #running = null;
  #kernels = null;
  #next = 0;

  constructor(show) {
    this.#show = show;
  }

  add(pairs, allow) {
    const fresh = pairs.map(({ file, other }) => ({ id: this.#next++, file, other, allow }));
    this.#results = [...fresh.reverse(), ...this.#results];
    this.#changed();
    this.#go();
  }

  // The containers that the command line named.
  async fetchNamed(tell) {
    try {
      const { containers } = await ask("/api/home");
      tell(containers.length > 0);
      for (const [at, name] of containers.entries()) {
        const answer = await fetch(`/containers/${at}`);
        const file = new File(answer.ok ? [await answer.blob()] : [], name);
        if (answer.ok) this.add([{ file, other: null }], false);
        else this.#lack(file, (await answer.json()).error);
      }
    } catch {
      tell(false); // the time line says what is wrong with the home
    }
  }

  // One that the server could not read.
  #lack(file, why) {
    this.#results = [{ id: this.#next++, file, other: null, verdict: "failed", why }, ...this.#results];
    this.#changed();
  }

  stop(id) {
    if (this.#running === id) {
      this.#worker?.terminate(); // there is none while the kernels are on their way
      this.#worker = null;
      this.#running = null;
    }
    this.#put(id, { verdict: "stopped" });
    this.#go();
  }

  async #go() {
    const next = this.#results.findLast((result) => result.verdict === undefined);
    if (this.#running !== null || !next) return;
    this.#running = next.id;
    try {
      const worker = await this.#ready();
      if (this.#running === next.id) {
        worker.postMessage({ id: next.id, file: next.file, other: next.other, allow: next.allow });
      }
    } catch (error) {
      this.#end(next.id, { verdict: "failed", why: error.message });
    }
  }

  async #ready() {
    if (!this.#kernels) {
      const answer = await fetch("/kernels");
      if (!answer.ok) throw new Error("the kernels cannot be had from the server");
      this.#kernels = await answer.arrayBuffer();
    }
    if (!this.#worker) {
      this.#worker = new Worker("verifier.mjs", { type: "module" });
      this.#worker.postMessage({ kernels: this.#kernels });
      this.#worker.onmessage = ({ data }) => this.#heard(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        this.#worker?.terminate();
        this.#worker = null;
        this.#end(this.#running, { verdict: "failed", why: event.message || "the worker could not start" });
      };
    }
    return this.#worker;
  }

  #heard({ id, kind, ...more }) {
    if (id !== this.#running) return;
    if (kind === "verdict") this.#end(id, more);
    else this.#put(id, more);
  }

  #end(id, more) {
    this.#running = null;
    this.#put(id, more);
    this.#go();
  }

  #put(id, more) {
    this.#results = this.#results.map((result) => (result.id === id ? { ...result, ...more } : result));
    this.#changed();
  }

  #changed() {
    this.#show(this.#results);
  }
}
