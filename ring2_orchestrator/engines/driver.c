/* Calls a kernel that wasm2c turned into C: driver CALLS ANSWERS, laid out as batch.py says.
 *
 * Each call has a fresh instance, and each answer is written at once; the program ends with code 3
 * where one cannot be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "wasm-rt-exceptions.h" /* wasm_rt_impl_try calls what it declares */
#include "wasm-rt-impl.h"

enum { RESULT, REFUSED, TRAPPED, NO_MEMORY };
enum { PAGE = 65536, MAX_STREAMS = 64, LIMIT = 256 * 1024 * 1024 };

typedef struct {
  uint32_t op, n_out, param_len, n_in, len[MAX_STREAMS];
  const uint8_t *param, *data[MAX_STREAMS];
} Asked;

typedef struct {
  w2c_kernel instance;
  wasm_rt_memory_t *memory;
  uint64_t base, end;
  uint32_t out[MAX_STREAMS], len[MAX_STREAMS];
} Laid;

static FILE *answers;

static void say(uint32_t word) { fwrite(&word, sizeof word, 1, answers); }

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(2);
}

static uint64_t align(uint64_t address) { return (address + 15) & ~(uint64_t)15; }

static void put(Laid *laid, uint64_t at, const void *from, uint64_t length) {
  if (length != 0) memcpy(laid->memory->data + at, from, length);
}

/* The address of a new region; 0, which no region has, where there is no memory for it. */
static uint32_t place(Laid *laid, uint64_t size) {
  uint64_t at = laid->end;
  laid->end = align(at + size);
  if (laid->end - laid->base > LIMIT) return 0;
  if (laid->end > laid->memory->size) {
    uint64_t pages = (laid->end - laid->memory->size + PAGE - 1) / PAGE;
    if (wasm_rt_grow_memory(laid->memory, pages) == UINT64_MAX ||
        laid->end > laid->memory->size)
      return 0;
  }
  return (uint32_t)at;
}

static uint32_t word_at(const Laid *laid, uint32_t word) {
  uint32_t value;
  memcpy(&value, laid->memory->data + laid->base + 4 * (uint64_t)word, sizeof value);
  return value;
}

static void set_word(Laid *laid, uint32_t word, uint32_t value) {
  put(laid, laid->base + 4 * (uint64_t)word, &value, sizeof value);
}

/* What came of the call. On RESULT its outputs lie at `out`: the kernel may have changed the block. */
static uint32_t perform(Laid *laid, const Asked *asked, uint32_t *code) {
  uint32_t words = 7 + 2 * asked->n_in + 3 * asked->n_out, out = 5 + 2 * asked->n_in;
  laid->base = laid->end = laid->memory->size;
  if (!place(laid, 4 * (uint64_t)words)) return NO_MEMORY;
  set_word(laid, 0, asked->op & ~1u);
  uint32_t at = place(laid, asked->param_len);
  if (!at) return NO_MEMORY;
  put(laid, at, asked->param, asked->param_len);
  set_word(laid, 1, at);
  set_word(laid, 2, asked->param_len);
  set_word(laid, 3, asked->n_in);
  for (uint32_t port = 0; port < asked->n_in; port++) {
    if (!(at = place(laid, asked->len[port]))) return NO_MEMORY;
    put(laid, at, asked->data[port], asked->len[port]);
    set_word(laid, 4 + 2 * port, at);
    set_word(laid, 5 + 2 * port, asked->len[port]);
  }
  set_word(laid, 4 + 2 * asked->n_in, asked->n_out);
  if ((*code = w2c_kernel_run(&laid->instance, (uint32_t)laid->base)) != 0) return REFUSED;
  set_word(laid, 0, asked->op);
  uint32_t caps[MAX_STREAMS];
  for (uint32_t port = 0; port < asked->n_out; port++) {
    caps[port] = word_at(laid, out + 3 * port + 1);
    if (!(laid->out[port] = place(laid, caps[port]))) return NO_MEMORY;
    set_word(laid, out + 3 * port, laid->out[port]);
  }
  if (!(at = place(laid, word_at(laid, words - 1)))) return NO_MEMORY;
  set_word(laid, words - 2, at);
  if ((*code = w2c_kernel_run(&laid->instance, (uint32_t)laid->base)) != 0) return REFUSED;
  for (uint32_t port = 0; port < asked->n_out; port++) {
    laid->len[port] = word_at(laid, out + 3 * port + 2);
    if (laid->len[port] > caps[port]) return TRAPPED;
  }
  return RESULT;
}

static void answer(const Asked *asked) {
  static Laid laid;
  uint32_t code = 0, status;
  wasm2c_kernel_instantiate(&laid.instance);
  laid.memory = w2c_kernel_memory(&laid.instance);
  status = wasm_rt_impl_try() == 0 ? perform(&laid, asked, &code) : TRAPPED;
  say(status);
  if (status == REFUSED) say(code);
  if (status == RESULT) {
    say(asked->n_out);
    for (uint32_t port = 0; port < asked->n_out; port++) say(laid.len[port]);
    for (uint32_t port = 0; port < asked->n_out; port++)
      fwrite(laid.memory->data + laid.out[port], 1, laid.len[port], answers);
  }
  if (fflush(answers) != 0 || ferror(answers)) {
    fprintf(stderr, "the answers cannot be written\n");
    exit(3);
  }
  wasm2c_kernel_free(&laid.instance);
}

static uint8_t *read_all(const char *path, size_t *length) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) fail("the calls cannot be read");
  *length = (size_t)ftell(file);
  uint8_t *data = malloc(*length + 1);
  rewind(file);
  if (data == NULL || fread(data, 1, *length, file) != *length) fail("the calls cannot be read");
  fclose(file);
  return data;
}

static const uint8_t *take(const uint8_t **at, size_t *left, size_t length) {
  if (*left < length) fail("the calls end too early");
  const uint8_t *here = *at;
  *at += length;
  *left -= length;
  return here;
}

static uint32_t take_word(const uint8_t **at, size_t *left) {
  uint32_t word;
  memcpy(&word, take(at, left, sizeof word), sizeof word);
  return word;
}

int main(int count, char **words) {
  if (count != 3) fail("usage: driver CALLS ANSWERS");
  size_t left;
  const uint8_t *at = read_all(words[1], &left);
  if ((answers = fopen(words[2], "wb")) == NULL) fail("the answers cannot be written");
  wasm_rt_init();
  for (uint32_t calls = take_word(&at, &left); calls > 0; calls--) {
    Asked asked = {.op = take_word(&at, &left)};
    asked.n_out = take_word(&at, &left);
    asked.param_len = take_word(&at, &left);
    asked.n_in = take_word(&at, &left);
    if (asked.n_in > MAX_STREAMS || asked.n_out > MAX_STREAMS) fail("too many streams");
    for (uint32_t port = 0; port < asked.n_in; port++) asked.len[port] = take_word(&at, &left);
    asked.param = take(&at, &left, asked.param_len);
    for (uint32_t port = 0; port < asked.n_in; port++)
      asked.data[port] = take(&at, &left, asked.len[port]);
    answer(&asked);
  }
  wasm_rt_free();
  return fclose(answers) == 0 ? 0 : 3;
}
