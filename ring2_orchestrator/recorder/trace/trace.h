/* The recorder's helper: runs one program under a seccomp filter and writes down what it touches.
 *
 * Every call that names a file, reads a directory, starts or ends a process, or reaches outside is
 * stopped, looked at, written to the event stream (docs/formats/events.md) and let through.
 */
#ifndef REDOXA_TRACE_H
#define REDOXA_TRACE_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/stat.h>
#include <sys/types.h>

/* ---- words.c: every string is kept once, and known by its address ---- */

enum {
    WORD_OURS = 1,      /* its content comes from the run itself, so it is no input any more */
    WORD_SEEN = 2,      /* the run read or examined it before changing it */
    WORD_SAVED = 4,     /* its old content lies in the scratch folder */
    WORD_FOLDER = 8,    /* a real directory, while `generation` is the current one */
    WORD_LINK_TOLD = 16 /* passing through this symbolic link was already written down */
};

struct word {
    uint32_t id; /* its number in the stream; 0 until it was first written */
    uint32_t length;
    uint32_t generation;
    uint32_t flags;
    struct looks *looks; /* what stream.c last told of looks at this path */
    char text[]; /* NUL-terminated, and may hold NULs before that */
};

struct word *word_of(const char *text, size_t length);
struct word *word_known(const char *text, size_t length); /* NULL when it was never kept */
void words_each(void (*visit)(struct word *, void *), void *context);

/* Inodes the run has depended on: hard links give one content several names. */
bool inode_seen(const struct stat *st);
void inode_mark_seen(const struct stat *st);

/* ---- stream.c: the events file ---- */

enum event_kind { /* the order is part of the format */
    EVENT_READ = 1,
    EVENT_WRITE,
    EVENT_STAT,
    EVENT_READLINK,
    EVENT_LIST,
    EVENT_EXEC,
    EVENT_RENAME,
    EVENT_UNLINK,
    EVENT_RMDIR,
    EVENT_MKDIR,
    EVENT_LINK,
    EVENT_SYMLINK,
    EVENT_METADATA,
    EVENT_TRUNCATE,
    EVENT_MKNOD,
    EVENT_CHDIR,
    EVENT_CONNECT,
    EVENT_BIND,
    EVENT_PRESERVE
};

enum event_flag { /* the values are part of the format */
    FLAG_READS = 1,
    FLAG_TRUNCATE = 2,
    FLAG_APPEND = 4,
    FLAG_CREATE = 8,
    FLAG_EXCLUSIVE = 16,
    FLAG_NAMELESS = 32,
    FLAG_EXCHANGE = 64,
    FLAG_KERNEL = 128,
    FLAG_MODE = 256,
    FLAG_OWNER = 512,
    FLAG_TIMES = 1024,
    FLAG_XATTR = 2048,
    FLAG_NOFOLLOW = 4096
};

struct event {
    enum event_kind kind;
    uint32_t flags;
    pid_t pid;
    struct word *program;
    struct word *path, *path2;
    const struct stat *before, *before2; /* NULL: nothing stood there */
    uint32_t preimage, preimage2;        /* 0: none */
};

void stream_open(const char *path);
void stream_event(const struct event *event);
bool stream_tells_each(void); /* whether each process's looks are to be told */
void stream_passed(pid_t pid, struct word *link); /* one that was told before */
void stream_doubt(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));
void stream_started(pid_t pid, pid_t ppid, struct word *exe, struct word *argv);
void stream_executed(pid_t pid, struct word *exe, struct word *argv);
/* The code is -1 where it is not known, as of a process that a signal ended. */
void stream_ended(pid_t pid, int code, uint64_t cpu_ns, uint64_t max_rss_bytes);
void stream_exit(int code, int signal);
void stream_close(void);
bool stream_is_open(void);
uint64_t stream_events(void); /* how many there were so far, with repeated looks */

/* ---- tracee.c: looking into a stopped process ---- */

struct process;

struct request { /* one stopped call */
    uint64_t id;
    pid_t tid;
    int number;
    uint32_t arch;
    uint64_t arg[6];
    struct process *process;
};

bool request_is_live(const struct request *request);
void tracee_begin(void);     /* a new request: nothing was asked for yet */
void tracee_by_number(void); /* something was, by a number that may mean another process by now */
/* The same as whether it is live, where that must be asked to know that the caller was looked at. */
bool request_is_sure(const struct request *request);
void memory_changes(const struct request *request); /* by the exec it is stopped at */
void memory_close(struct process *process);
ssize_t tracee_read(const struct request *request, uint64_t address, void *into, size_t length);
/* The string's length, or -1: unreadable, or longer than a path may be. */
ssize_t tracee_string(const struct request *request, uint64_t address, char *into, size_t room);
struct word *tracee_argv(const struct request *request, uint64_t address);
/* What /proc/TID/<entry> links to; -1 when it cannot be said. */
ssize_t tracee_link(pid_t tid, const char *entry, char *into, size_t room);
int tracee_descriptor(const struct request *request, int fd); /* a copy of its descriptor, or -1 */

/* ---- process.c: who is who ---- */

struct process {
    pid_t pid, ppid;
    struct word *exe, *argv;
    struct word *pending_argv;  /* an exec was let through, and not yet seen to have worked */
    struct word *expected[2];   /* the executables it may turn into */
    int pidfd;
    int memory;      /* open to be read, or -1 */
    unsigned reads;  /* of its memory, while that was not open */
    pid_t executing; /* the thread that was let through to an exec, 0 for none */
    bool ended;
    size_t cached; /* in how many slots of the thread cache it stands */
    struct process *next;
};

void processes_open(void);
int processes_poll_fd(void);
void processes_reap(void);
struct process *process_of(pid_t tid);
void process_ends(const struct request *request);
void thread_ends(pid_t tid);
bool process_is_inside(pid_t pid);
void processes_signal(int number);
bool process_is_known(pid_t pid);
/* Where a thread's relative paths begin; NULL when it is gone. */
struct word *working_folder(pid_t tid);
void working_folder_moves(pid_t tid); /* by the call it is stopped at */
void working_folders_moved(void);     /* or may have: whoever lies below a folder that did */

/* ---- path.c: from the words of a call to the one canonical name ---- */

enum { PLACE_FOLLOW = 1, PLACE_EMPTY = 2 /* an empty path means the descriptor itself */ };

struct place {
    struct word *word;
    struct stat st;
    bool found;
    bool magic;     /* a nameless thing behind /proc/self/fd: a pipe, a socket, a deleted file */
    bool directory; /* the path ended in a slash */
};

#define PATH_ROOM 16384

/* False: the call cannot name anything (bad pointer, too long), or the process is gone. */
bool place_named(const struct request *r, int dirfd, uint64_t address, int how, struct place *out);
bool place_of_fd(const struct request *r, int fd, struct place *out);
void place_of_text(const struct request *r, const char *path, int how, struct place *out);
const char *place_host_path(const struct request *r, const struct word *word, char *room);
void paths_moved(void);
const struct stat *place_before(const struct place *place);

/* ---- preimage.c ---- */

void preimages_open(const char *folder, uint64_t limit_bytes);
/* Called before a call that changes `place`; says under which number its old content was kept. */
uint32_t preimage_for(const struct request *r, struct place *place, bool content_matters);
/* A folder moves: keep what the run has seen below it, and carry what is known to its new name. */
void preimages_below(const struct request *r, const struct word *from, const struct word *to);
void place_seen(struct place *place);

/* ---- calls.c: which calls are stopped, and who looks at them ---- */

enum call_rule {
    RULE_NOTIFY,
    RULE_REFUSE,     /* answered ENOSYS without a stop */
    RULE_NAMED3,     /* not when flags in argument 3 say the descriptor itself is meant */
    RULE_NAMED2,     /* the same, flags in argument 2 */
    RULE_NAMESPACES, /* only when argument 0 asks for a namespace */
    RULE_ADDRESSED,  /* only when argument 4 is an address */
    RULE_FAMILY,     /* only for unusual socket families in argument 0 */
    RULE_KEYED       /* only when argument 0 is a key that others may know */
};

typedef void handler(struct request *request);

struct call {
    int number;
    enum call_rule rule;
    handler *handle;
};

extern const struct call stopped_calls[];
extern const size_t stopped_count;
extern const int harmless_calls[];
extern const size_t harmless_count;

struct descriptor_use {
    int number, argument;
};
/* Calls that move bytes through a descriptor, or make another of it. */
extern const struct descriptor_use descriptor_uses[];
extern const size_t descriptor_use_count;

handler on_file_call, on_exec, on_end, on_clone3;
handler on_address, on_listen, on_message, on_socket, on_kill, on_memory, on_outside, on_unknown;
void on_foreign_abi(struct request *request);
void on_call(struct request *request);

/* ---- inherited.c: descriptors the program was given beyond 0, 1 and 2 ---- */

#define INHERITED_MAX 16
extern int inherited[INHERITED_MAX];
extern size_t inherited_count;
void inherited_find(int control);
void inherited_close(void);
void inherited_used(const struct request *request);

/* ---- filter.c ---- */

#ifdef __x86_64__
#define NATIVE_ABI AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define NATIVE_ABI AUDIT_ARCH_AARCH64
#else
#error "the recorder knows the calls of x86_64 and aarch64"
#endif
#define X32_BIT 0x40000000u

int filter_install(void); /* the listener, or -1 with errno */

/* ---- supervise.c ---- */

struct supervision {
    int control;       /* messages to and from whoever asked for the recording */
    pid_t program;
    int exec_error_fd; /* holds an errno when the program could not be executed */
};

noreturn void supervise(struct supervision *supervision);
extern int listener_fd;
extern bool own_session; /* the program has a session, and so a terminal, of its own */

noreturn void fail(const char *what);
void *must_allocate(void *old, size_t size);
uint64_t now_ns(void);

#endif
