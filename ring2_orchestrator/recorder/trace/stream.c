/* The event stream: a file of tagged records, little-endian, described in docs/formats/events.md. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the stream is written as it lies in memory, which must be little-endian"
#endif

#define DOUBTS_MAX 256 /* a run that has this many is not made clearer by more */

static int stream_fd = -1;
static char buffer[1 << 16];
static size_t filled;
static uint32_t words_written;
static uint64_t records_written, events_seen, opened_ns;
static bool failed;
static char leaves[PATH_ROOM]; /* the folder in which leaves are announced, with its slash */
static bool leaf_seen;
static struct {
    struct word *kind, *detail;
} doubts[DOUBTS_MAX];
static size_t doubt_count;

static void flush(void) {
    size_t done = 0;
    while (done < filled && !failed) {
        ssize_t wrote = write(stream_fd, buffer + done, filled - done);
        if (wrote < 0 && errno == EINTR) continue;
        /* Without its final record the stream counts as incomplete, so stopping here is enough. */
        if (wrote <= 0) failed = true;
        else done += (size_t)wrote;
    }
    filled = 0;
}

static void put(const void *bytes, size_t length) {
    while (length) {
        size_t part = sizeof buffer - filled;
        if (part > length) part = length;
        memcpy(buffer + filled, bytes, part);
        filled += part;
        bytes = (const char *)bytes + part;
        length -= part;
        if (filled == sizeof buffer) flush();
    }
}

static void put_tag(char tag) {
    put(&tag, 1);
    records_written++;
}

static void put_u32(uint32_t value) { put(&value, sizeof value); }
static void put_u64(uint64_t value) { put(&value, sizeof value); }

static uint32_t number_of(struct word *word) {
    if (!word) return 0;
    if (!word->id) {
        word->id = ++words_written;
        put_tag('W');
        put_u32(word->length);
        put(word->text, word->length);
    }
    return word->id;
}

static uint64_t elapsed_ns(void) { return now_ns() - opened_ns; }

/* Paths of events are canonical, and so must this one be. */
static void find_leaves(const char *path) {
    char real[PATH_MAX];
    if (!realpath(path, real)) return;
    char *slash = strrchr(real, '/');
    snprintf(leaves, sizeof leaves, "%.*s/leaves/", (int)(slash - real), real);
}

void stream_open(const char *path) {
    stream_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (stream_fd < 0) fail("the event stream cannot be made");
    opened_ns = now_ns();
    find_leaves(path);
    put("redoxa-trace 3\n", 15);
}

uint64_t stream_events(void) { return events_seen; }

bool stream_is_open(void) { return stream_fd >= 0; }

/* ---- events ---- */

#define KINDS (EVENT_PRESERVE + 1)

struct identity {
    uint64_t found, mode, dev, ino, size, mtime_ns, ctime_ns;
};

struct look {
    const struct word *program;
    pid_t pid; /* who was the last to look so */
    uint32_t flags, renames;
    struct identity identity;
};

/* The last look of each sort at one path, and who was told last to have passed the link there. */
struct looks {
    struct look stat, read;
    pid_t passed;
};

static uint64_t repeats[KINDS];

static struct identity identity_of(const struct stat *st) {
    if (!st) return (struct identity){0};
    return (struct identity){
        .found = 1,
        .mode = st->st_mode,
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .mtime_ns = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec,
        .ctime_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec,
    };
}

static void put_identity(const struct identity *identity) {
    if (identity->found) put(&identity->mode, sizeof *identity - sizeof identity->found);
}

static void forget_looks(struct word *word) {
    if (word && word->looks) *word->looks = (struct looks){0};
}

/* The content is known, and that this process read it, too, is told in a few bytes. */
static void put_use(pid_t pid, struct word *path) {
    uint32_t fields[2] = {(uint32_t)pid, number_of(path)};
    put_tag('U');
    put(fields, sizeof fields);
}

/* What one process of many saw is told anew of each that looks, once there is a leaf: its trace is
 * of its own processes alone. */
static void put_again(enum event_kind kind, pid_t pid, struct word *path) {
    if (!leaf_seen || stream_fd < 0) return;
    uint32_t fields[3] = {(uint32_t)kind, (uint32_t)pid, number_of(path)};
    put_tag('V');
    put(fields, sizeof fields);
}

static struct looks *looks_of(struct word *path) {
    if (!path->looks) {
        path->looks = must_allocate(NULL, sizeof(struct looks));
        *path->looks = (struct looks){0};
    }
    return path->looks;
}

bool stream_tells_each(void) { return leaf_seen; }

void stream_passed(pid_t pid, struct word *link) {
    if (!leaf_seen || looks_of(link)->passed == pid) return;
    looks_of(link)->passed = pid;
    put_again(EVENT_READLINK, pid, link);
}

/* Whether the same program sees the same at a path once more, and the run did nothing to the path
 * in between. A compiler looks a thousand times at each folder; only the first tells something. */
static bool is_repeat(const struct event *event, const struct identity *identity) {
    static uint32_t renames; /* a folder that moves takes along what lies below */
    if (event->kind != EVENT_STAT && event->kind != EVENT_READ) {
        forget_looks(event->path);
        forget_looks(event->path2);
        renames += event->kind == EVENT_RENAME;
        return false;
    }
    struct looks *looks = looks_of(event->path);
    struct look *last = event->kind == EVENT_STAT ? &looks->stat : &looks->read;
    if (last->program == event->program && last->flags == event->flags &&
        last->renames == renames && !memcmp(&last->identity, identity, sizeof *identity)) {
        if (last->pid != event->pid) {
            if (event->kind == EVENT_READ && identity->found) put_use(event->pid, event->path);
            else put_again(event->kind, event->pid, event->path);
        }
        last->pid = event->pid;
        return true;
    }
    *last = (struct look){event->program, event->pid, event->flags, renames, *identity};
    return false;
}

void stream_event(const struct event *event) {
    if (stream_fd < 0) return;
    struct identity before = identity_of(event->before), before2 = identity_of(event->before2);
    events_seen++;
    if (event->kind == EVENT_WRITE && *leaves && !strncmp(event->path->text, leaves, strlen(leaves)))
        leaf_seen = true;
    if (is_repeat(event, &before)) {
        repeats[event->kind]++;
        return;
    }
    uint32_t path = number_of(event->path), path2 = number_of(event->path2);
    uint32_t program = number_of(event->program);
    put_tag('E');
    unsigned char head[3] = {(unsigned char)event->kind, event->before != NULL,
                             event->before2 != NULL};
    put(head, sizeof head);
    uint32_t fields[] = {(uint32_t)event->pid, path,           path2,   event->flags,
                         event->preimage,      event->preimage2, program};
    put(fields, sizeof fields);
    put_u64(elapsed_ns());
    put_identity(&before);
    put_identity(&before2);
}

static void put_repeats(void) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (!repeats[kind]) continue;
        put_tag('R');
        put_u32(kind);
        put_u64(repeats[kind]);
    }
}

void stream_doubt(const char *kind, const char *format, ...) {
    if (stream_fd < 0 || doubt_count == DOUBTS_MAX) return;
    char text[PATH_ROOM];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) length = 0;
    if ((size_t)length >= sizeof text) length = sizeof text - 1;
    struct word *kind_word = word_of(kind, strlen(kind));
    struct word *detail = word_of(text, (size_t)length);
    for (size_t i = 0; i < doubt_count; i++)
        if (doubts[i].kind == kind_word && doubts[i].detail == detail) return;
    doubts[doubt_count].kind = kind_word;
    doubts[doubt_count++].detail = detail;
    uint32_t numbers[2] = {number_of(kind_word), number_of(detail)};
    put_tag('D');
    put(numbers, sizeof numbers);
}

static void put_process(char tag, pid_t pid, pid_t ppid, struct word *exe, struct word *argv) {
    if (stream_fd < 0) return;
    uint32_t fields[4] = {(uint32_t)pid, (uint32_t)ppid, number_of(exe), number_of(argv)};
    put_tag(tag);
    put(fields, sizeof fields);
    put_u64(elapsed_ns());
}

void stream_started(pid_t pid, pid_t ppid, struct word *exe, struct word *argv) {
    put_process('S', pid, ppid, exe, argv);
}

void stream_executed(pid_t pid, struct word *exe, struct word *argv) {
    put_process('X', pid, 0, exe, argv);
}

void stream_ended(pid_t pid, int code, uint64_t cpu_ns, uint64_t max_rss_bytes) {
    if (stream_fd < 0) return;
    put_tag('Z');
    put_u32((uint32_t)pid);
    put_u32((uint32_t)(code + 1));
    put_u64(elapsed_ns());
    put_u64(cpu_ns);
    put_u64(max_rss_bytes);
}

void stream_exit(int code, int signal) {
    if (stream_fd < 0) return;
    put_tag('Q');
    put_u32((uint32_t)code);
    put_u32((uint32_t)signal);
    put_u64(elapsed_ns());
}

void stream_close(void) {
    if (stream_fd < 0) return;
    struct rusage usage = {0};
    getrusage(RUSAGE_CHILDREN, &usage);
    put_repeats();
    uint64_t records = records_written;
    put_tag('F');
    put_u64(records);
    put_u64((uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
            (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u);
    put_u64((uint64_t)usage.ru_maxrss * 1024u);
    flush();
    close(stream_fd);
    stream_fd = -1;
}
