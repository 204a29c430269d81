/* Whole calls of kernels, and whole lists of them, without Python in between.
 *
 * The same conversation as ring0/host/call.py, and held to the same tests: lay the call out, ask for
 * the bound, make room, run, check. Every address is computed here from lengths that were checked;
 * a number read from a module is a size, never a pointer. Nothing here knows Python: the caller
 * has let go of its lock, and takes part again when the call or the list has ended. */

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "calls.h"

enum { ALIGNMENT = 16, WASM_PAGE = 65536, RESET_BYTES = 4096, TABLE_ELEMENTS = 10000 };

/* `watch` is twice the number of the call, and one more while the kernel runs; or one of these. */
#define STRIKING (UINT64_MAX - 1)
#define STRUCK UINT64_MAX

typedef union {
  int32_t i32;
  uint8_t bytes[16];
} value;

typedef void *run_function(void *, const void *, value *, size_t, void **);
typedef char *data_function(void *, const void *);
typedef size_t size_function(void *, const void *);
typedef void *grow_function(void *, const void *, uint64_t, uint64_t *);
typedef void limit_function(void *, int64_t, int64_t, int64_t, int64_t, int64_t);
typedef void ticks_function(void *, uint64_t);
typedef void delete_function(void *);

/* Objects and functions are equally large pointers on every system there is a trampoline for. */
#define FUNCTION(type, instance, name) ((type *)(uintptr_t)(instance)->engine->name)

static const char zeros[RESET_BYTES];

static uint64_t align(uint64_t address) { return (address + ALIGNMENT - 1) & -(uint64_t)ALIGNMENT; }

static int end(rdx_instance *instance, int kind, uint64_t said, uint64_t allowed) {
  instance->ending.kind = kind;
  instance->ending.said = said;
  instance->ending.allowed = allowed;
  return kind;
}

/* Memory */

/* Make a stretch what it should be, writing only where it is not: most of it never changes. */
static void restore(char *at, const char *wanted, uint64_t length) {
  for (uint64_t done = 0; done < length; done += RESET_BYTES) {
    uint64_t part = length - done < RESET_BYTES ? length - done : RESET_BYTES;
    const char *from = wanted == NULL ? zeros : wanted + done;
    if (memcmp(at + done, from, part) != 0) memcpy(at + done, from, part);
  }
}

static void restore_own(rdx_instance *instance) {
  char *data = instance->data;
  uint64_t first = instance->first, last = instance->last;
  restore(data, NULL, first);
  restore(data + first, instance->snapshot + first, last - first);
  restore(data + last, NULL, instance->base - last);
}

static void clear(char *data, uint64_t from, uint64_t to) {
  if (to > from) memset(data + from, 0, to - from);
}

static bool grow(rdx_instance *instance, uint64_t needed) {
  uint64_t pages = (needed - instance->size + WASM_PAGE - 1) / WASM_PAGE, before;
  limit_function *limit = FUNCTION(limit_function, instance, limit);
  limit(instance->store, (int64_t)(instance->size + pages * WASM_PAGE), TABLE_ELEMENTS, 1, 4, 1);
  void *error =
      FUNCTION(grow_function, instance, grow)(instance->context, instance->memory, pages, &before);
  if (error != NULL) {
    FUNCTION(delete_function, instance, delete_error)(error);
    limit(instance->store, (int64_t)instance->size, TABLE_ELEMENTS, 1, 4, 1);
    return false;
  }
  instance->data = FUNCTION(data_function, instance, data)(instance->context, instance->memory);
  instance->size = FUNCTION(size_function, instance, size)(instance->context, instance->memory);
  return true;
}

static int make_room(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds,
                     uint64_t needed) {
  uint64_t allowed = bounds->memory_bytes;
  if (allowed > of->maximum_bytes) allowed = of->maximum_bytes;
  if (needed > allowed) return end(instance, RDX_BOUNDARY, needed, allowed);
  if (needed > instance->size && !grow(instance, needed))
    return end(instance, RDX_MACHINE, needed, allowed);
  return RDX_DONE;
}

/* Give memory that a large call has used back to the system; what is read there next is zeros. */
void rdx_forget(rdx_instance *instance, uint64_t kept) {
  if (instance->used <= instance->base + kept) return;
#ifdef __linux__ /* elsewhere the advice need not be taken */
  size_t length = instance->size - instance->base;
  if (madvise(instance->data + instance->base, length, MADV_DONTNEED) == 0)
    instance->used = instance->base;
#endif
}

/* Running */

/* The kernel has stopped running; false if it was made to. */
static bool leave(rdx_instance *instance, uint64_t turn) {
  uint64_t running = turn | 1;
  if (__atomic_compare_exchange_n(&instance->watch, &running, turn, false, __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE))
    return true;
  struct timespec pause = {0, 20000};
  while (__atomic_load_n(&instance->watch, __ATOMIC_ACQUIRE) != STRUCK) nanosleep(&pause, NULL);
  return false;
}

/* Take an instance's memory away, if it still runs the call that `watch` showed: the next access
 * traps in the engine, and the instance is of no more use. */
bool rdx_strike(rdx_instance *instance, uint64_t watch) {
  if (watch >= STRIKING) return false;
  if (!__atomic_compare_exchange_n(&instance->watch, &watch, STRIKING, false, __ATOMIC_ACQ_REL,
                                   __ATOMIC_RELAXED))
    return false;
  mprotect(instance->data, instance->size, PROT_NONE);
  __atomic_store_n(&instance->watch, STRUCK, __ATOMIC_RELEASE);
  return true;
}

/* Call `run` on the block at `base`. */
static int run(rdx_instance *instance, uint64_t turn) {
  value word = {.i32 = (int32_t)(uint32_t)instance->base};
  __atomic_store_n(&instance->watch, turn | 1, __ATOMIC_RELEASE);
  instance->error = FUNCTION(run_function, instance, run)(instance->context, instance->run, &word,
                                                          1, &instance->trap);
  if (!leave(instance, turn)) return end(instance, RDX_OVERDUE, 0, 0);
  if (instance->error != NULL || instance->trap != NULL) return end(instance, RDX_STOPPED, 0, 0);
  if (word.i32 == 0) return RDX_DONE;
  instance->ending.code = word.i32;
  return end(instance, RDX_CODE, 0, 0);
}

/* Run it on whatever block memory holds, so many times: what a crossing costs. */
int rdx_cross(rdx_instance *instance, uint64_t times) {
  uint64_t turn = __atomic_load_n(&instance->watch, __ATOMIC_RELAXED) & ~(uint64_t)1;
  int kind = RDX_DONE;
  for (uint64_t at = 0; at < times; at++) kind = run(instance, turn + 2 * (at + 1));
  return kind;
}

/* One call */

static void put(char *block, uint64_t word, uint64_t number) {
  uint32_t little = (uint32_t)number;  /* wasm and every machine here store the low byte first */
  memcpy(block + 4 * word, &little, 4);
}

static uint32_t get(const char *block, uint64_t word) {
  uint32_t number;
  memcpy(&number, block + 4 * word, 4);
  return number;
}

/* Where things lie: the block at `base`, the parameters, the inputs one after another. */
static uint64_t lay_out(const rdx_instance *instance, const rdx_operation *of, uint64_t *params) {
  *params = align(instance->base + 4 * (7 + 2 * (uint64_t)of->n_in + 3 * (uint64_t)of->n_out));
  uint64_t at = align(*params + of->params_length);
  for (uint32_t port = 0; port < of->n_in; port++) at = align(at + instance->inputs[port].length);
  return at;
}

/* The block up to the outputs; where those begin. */
static uint64_t write_head(rdx_instance *instance, const rdx_operation *of, uint32_t op,
                           uint64_t params) {
  char *block = instance->data + instance->base;
  uint64_t word = 0, at = align(params + of->params_length);
  put(block, word++, op);
  put(block, word++, params);
  put(block, word++, of->params_length);
  put(block, word++, of->n_in);
  for (uint32_t port = 0; port < of->n_in; port++) {
    put(block, word++, at);
    put(block, word++, instance->inputs[port].length);
    at = align(at + instance->inputs[port].length);
  }
  put(block, word++, of->n_out);
  return instance->base + 4 * word;
}

/* Write block, parameters and inputs, and zeros over everything else that the last call left. */
static void write_call(rdx_instance *instance, const rdx_operation *of, uint64_t params) {
  char *data = instance->data;
  uint64_t filled = write_head(instance, of, of->op & ~1u, params);
  clear(data, filled, params);
  memcpy(data + params, of->params, of->params_length);
  filled = params + of->params_length;
  for (uint32_t port = 0; port < of->n_in; port++) {
    rdx_span *input = &instance->inputs[port];
    clear(data, filled, align(filled));
    filled = align(filled);
    if (input->data == NULL) /* whoever calls fills it in place */
      clear(data, filled, filled + input->length);
    else
      memcpy(data + filled, input->data, input->length);
    input->data = data + filled;
    filled += input->length;
  }
  clear(data, filled, instance->used);
}

/* The capacities the kernel asked for become places, and the block the one to work with. */
static int give_room(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds,
                     uint64_t free) {
  uint64_t first = 5 + 2 * (uint64_t)of->n_in, last = first + 3 * (uint64_t)of->n_out;
  const char *said = instance->data + instance->base;
  uint64_t total = 0, at = free, scratch = get(said, last + 1);
  for (uint32_t port = 0; port < of->n_out; port++) {
    uint64_t room = get(said, first + 3 * port + 1);
    total += room;
    instance->outputs[port].length = room;
    at = align(at + room);
  }
  if (total > bounds->output_bytes)
    return end(instance, RDX_OUTPUT_LIMIT, total, bounds->output_bytes);
  uint64_t needed = align(at + scratch);
  int kind = make_room(instance, of, bounds, needed);
  if (kind != RDX_DONE) return kind;
  if (instance->used < needed) instance->used = needed;
  char *block = instance->data + instance->base;
  put(block, last, at);
  put(block, last + 1, scratch);
  at = free;
  for (uint32_t port = 0; port < of->n_out; port++) {
    rdx_span *output = &instance->outputs[port];
    put(block, first + 3 * port, at);
    put(block, first + 3 * port + 1, output->length);
    put(block, first + 3 * port + 2, 0);
    output->data = instance->data + at;
    at = align(at + output->length);
  }
  return RDX_DONE;
}

static int take_lengths(rdx_instance *instance, const rdx_operation *of) {
  const char *block = instance->data + instance->base;
  uint64_t first = 5 + 2 * (uint64_t)of->n_in;
  for (uint32_t port = 0; port < of->n_out; port++) {
    uint64_t written = get(block, first + 3 * port + 2);
    rdx_span *output = &instance->outputs[port];
    if (written > output->length) {
      instance->ending.port = port;
      return end(instance, RDX_RESULT_LENGTH, written, output->length);
    }
    output->length = written;
  }
  return end(instance, RDX_DONE, 0, 0);
}

/* Lay the call of the instance's `inputs` out, in memory that holds nothing of any call before. An
 * input whose `data` is NULL is zeros. */
int rdx_open(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds) {
  uint64_t params, free = lay_out(instance, of, &params);
  int kind = make_room(instance, of, bounds, free);
  if (kind != RDX_DONE) return kind;
  restore_own(instance);
  write_call(instance, of, params);
  instance->used = free;
  return RDX_DONE;
}

/* Do what is laid out, within bounds. After RDX_DONE the instance's `outputs` say where the results
 * lie. RDX_STOPPED and RDX_OVERDUE leave an instance that must not be used again. */
int rdx_work(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds) {
  uint64_t params, free = lay_out(instance, of, &params);
  instance->wall_ms = bounds->wall_ms;
  if (instance->epochs)
    FUNCTION(ticks_function, instance, set_ticks)(instance->context, bounds->ticks);
  uint64_t turn = (__atomic_load_n(&instance->watch, __ATOMIC_RELAXED) & ~(uint64_t)1) + 2;
  int kind = run(instance, turn);
  if (kind == RDX_DONE) kind = give_room(instance, of, bounds, free);
  if (kind != RDX_DONE) return kind;
  write_head(instance, of, of->op, params); /* the bound had it in its hands */
  kind = run(instance, turn);
  return kind == RDX_DONE ? take_lengths(instance, of) : kind;
}

int rdx_call(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds) {
  int kind = rdx_open(instance, of, bounds);
  return kind == RDX_DONE ? rdx_work(instance, of, bounds) : kind;
}

/* The same with one input. */
int rdx_call_one(rdx_instance *instance, const rdx_operation *of, const rdx_bounds *bounds,
                 const char *data, uint64_t length) {
  instance->inputs[0].data = data;
  instance->inputs[0].length = length;
  return rdx_call(instance, of, bounds);
}

/* Copy a result out of memory, without Python's lock: pages are touched for the first time here. */
void rdx_copy(const rdx_span *from, char *to) { memcpy(to, from->data, from->length); }

/* Lists of calls */

static bool spend(uint64_t *work, uint64_t limit, const rdx_span *spans, uint32_t count) {
  for (uint32_t at = 0; at < count; at++) *work += spans[at].length;
  return *work <= limit;
}

static int call_step(const rdx_step *step, rdx_span *values, const rdx_bounds *bounds,
                     uint64_t *work) {
  rdx_instance *instance = step->instance;
  const rdx_operation *of = step->operation;
  for (uint32_t port = 0; port < of->n_in; port++)
    instance->inputs[port] = values[step->inputs[port]];
  if (!spend(work, bounds->work_bytes, instance->inputs, of->n_in))
    return end(instance, RDX_WORK_LIMIT, *work, bounds->work_bytes);
  int kind = rdx_call(instance, of, bounds);
  if (kind != RDX_DONE) return kind;
  if (!spend(work, bounds->work_bytes, instance->outputs, of->n_out))
    return end(instance, RDX_WORK_LIMIT, *work, bounds->work_bytes);
  for (uint32_t port = 0; port < of->n_out; port++)
    values[step->outputs[port]] = instance->outputs[port];
  for (uint32_t at = 0; at < step->n_spent; at++) rdx_forget(step->spent[at], bounds->kept_bytes);
  return RDX_DONE;
}

/* Every step in turn, each on its own instance, until one does not end well: `ending` is that one's.
 * Values are copied from one instance's memory into the next; `work` counts their bytes. */
int rdx_call_all(const rdx_step *steps, uint32_t count, rdx_span *values, const rdx_bounds *bounds,
                 rdx_ending *ending, uint64_t *work) {
  for (uint32_t at = 0; at < count; at++) {
    int kind = call_step(&steps[at], values, bounds, work);
    if (kind != RDX_DONE) {
      *ending = steps[at].instance->ending;
      ending->step = at;
      return kind;
    }
  }
  return RDX_DONE;
}

/* The name of the sources this was made of. */
const char *rdx_sources(void) { return SOURCES; }
