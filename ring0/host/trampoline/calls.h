/* What Python and the compiled calls both know. cffi reads this file, so it holds plain declarations
 * only; calls.c says what the functions promise. */

/* The engine's functions, as the host looked them up in the one library it has checked. */
typedef struct {
  void *run, *data, *size, *grow, *limit, *set_ticks, *delete_error;
} rdx_engine;

typedef struct {
  const char *data;
  uint64_t length;
} rdx_span;

/* How a call ended. What `said` and `allowed` count depends on the kind. */
enum {
  RDX_DONE,
  RDX_CODE,          /* the kernel returned `code` */
  RDX_STOPPED,       /* the engine stopped it: `trap` or `error` of the instance says why */
  RDX_OVERDUE,       /* the watchdog stopped it */
  RDX_BOUNDARY,      /* it needs `said` bytes of memory, and `allowed` are fewer */
  RDX_MACHINE,       /* it needs `said` bytes of memory, and did not get them */
  RDX_OUTPUT_LIMIT,  /* it needs room for `said` output bytes, and `allowed` are fewer */
  RDX_RESULT_LENGTH, /* output `port` claims `said` bytes and has room for `allowed` */
  RDX_WORK_LIMIT     /* all calls together worked on more bytes than they may */
};

typedef struct {
  int32_t kind, code;
  uint32_t step, port;
  uint64_t said, allowed;
} rdx_ending;

/* One operation of one kernel, whose memory never has more than `maximum_bytes`. */
typedef struct {
  uint32_t op, n_in, n_out, params_length;
  const char *params;
  uint64_t maximum_bytes;
} rdx_operation;

/* What one call may use, `ticks` where its engine counts epochs; `work_bytes` is for a whole list. */
typedef struct {
  uint64_t memory_bytes, output_bytes, wall_ms, ticks, work_bytes, kept_bytes;
} rdx_bounds;

/* One instance. Python fills it in, and owns everything it points at; one thread uses it at a time,
 * but for `watch`, which the watchdog reads and changes. */
typedef struct {
  const rdx_engine *engine;
  void *store, *context;
  const void *run, *memory;
  const char *snapshot;       /* its first `base` bytes when it was new */
  uint64_t base;
  uint64_t first, last;       /* outside of these the snapshot is all zeros */
  char *data;
  uint64_t size;
  uint64_t used;              /* from here on memory is all zeros */
  uint64_t watch, wall_ms;
  bool epochs;
  void *trap, *error;         /* for Python to read and free */
  rdx_span *inputs, *outputs; /* outputs lie in memory, until the next call or rdx_forget */
  rdx_ending ending;
} rdx_instance;

/* One call of a list: `inputs` and `outputs` are places in the array of values. After it, the values
 * of the `n_spent` instances from `spent` on are needed no more. */
typedef struct {
  rdx_instance *instance;
  const rdx_operation *operation;
  const uint32_t *inputs, *outputs;
  rdx_instance *const *spent;
  uint32_t n_spent;
} rdx_step;

const char *rdx_sources(void);
int rdx_open(rdx_instance *, const rdx_operation *, const rdx_bounds *);
int rdx_work(rdx_instance *, const rdx_operation *, const rdx_bounds *);
int rdx_call(rdx_instance *, const rdx_operation *, const rdx_bounds *);
int rdx_call_one(rdx_instance *, const rdx_operation *, const rdx_bounds *, const char *, uint64_t);
int rdx_call_all(const rdx_step *, uint32_t, rdx_span *, const rdx_bounds *, rdx_ending *,
                 uint64_t *);
void rdx_copy(const rdx_span *, char *);
void rdx_forget(rdx_instance *, uint64_t);
bool rdx_strike(rdx_instance *, uint64_t);
int rdx_cross(rdx_instance *, uint64_t);
