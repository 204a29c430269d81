/* Looking into a stopped process: its memory, its links under /proc, its descriptors. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define NAME_ROOM 4096u /* the kernel refuses longer paths with ENAMETOOLONG */
#define ARGV_ROOM (256u * 1024u)
#define ARGC_MAX 8192u
#define POINTERS_AT_ONCE 64u

/* ---- memory ---- */

/* A process that is read often is read through an open file of its memory: that is cheaper, and goes
 * on meaning the same memory when the number is given to another. */
#define MEMORIES_MAX 64 /* open at once; each is a descriptor that others may need */
#define READS_BEFORE 4  /* fewer do not pay for opening */
#define UNSURE -1       /* several threads made an exec: which of them worked is not known */

static size_t memories;
static bool by_number; /* something was asked for by the number of a thread or process */

void tracee_begin(void) { by_number = false; }

void tracee_by_number(void) { by_number = true; }

bool request_is_live(const struct request *request) {
    /* Without this check a recycled number would let us look into another process. */
    uint64_t id = request->id;
    return ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

bool request_is_sure(const struct request *request) {
    return !by_number || request_is_live(request);
}

void memory_close(struct process *process) {
    if (process->memory < 0) return;
    close(process->memory);
    process->memory = -1;
    memories--;
}

/* The memory is another one once this has worked, which the thread's own next call will show. */
void memory_changes(const struct request *request) {
    struct process *process = request->process;
    memory_close(process);
    process->reads = 0; /* what it becomes may end soon */
    bool alone = !process->executing || process->executing == request->tid;
    process->executing = alone ? request->tid : UNSURE;
}

/* -1 where it is not open, and should not be. */
static int memory_of(const struct request *request) {
    struct process *process = request->process;
    char name[64];
    if (process->executing == request->tid) process->executing = 0;
    if (process->executing) return -1;
    if (process->memory >= 0 || ++process->reads < READS_BEFORE || memories == MEMORIES_MAX)
        return process->memory;
    snprintf(name, sizeof name, "/proc/%d/mem", request->tid);
    int opened = open(name, O_RDONLY | O_CLOEXEC);
    if (opened < 0) {
        process->reads = 0; /* it may be allowed later; to ask each time would cost more than it saves */
        return -1;
    }
    memories++;
    process->memory = opened;
    if (!request_is_live(request)) memory_close(process);
    return process->memory;
}

ssize_t tracee_read(const struct request *request, uint64_t address, void *into, size_t length) {
    int memory = memory_of(request);
    if (memory >= 0) {
        ssize_t got = pread(memory, into, length, (off_t)address);
        if (got > 0) return got;
        memory_close(request->process); /* nothing there, or the process is gone: ask for it anew */
    }
    by_number = true;
    struct iovec here = {into, length}, there = {(void *)(uintptr_t)address, length};
    ssize_t got = syscall(SYS_process_vm_readv, (long)request->tid, &here, 1L, &there, 1L, 0L);
    if (got < 0 && errno == EPERM)
        stream_doubt("unreadable", "process %d does not let its memory be read", request->tid);
    return got;
}

ssize_t tracee_string(const struct request *request, uint64_t address, char *into, size_t room) {
    size_t have = 0, want = 256;
    if (room > NAME_ROOM) room = NAME_ROOM;
    while (have < room) {
        /* A read never crosses into the next page unless it starts there: it may not be mapped. */
        size_t to_page_end = PAGE - ((address + have) & (PAGE - 1));
        size_t part = want < to_page_end ? want : to_page_end;
        if (part > room - have) part = room - have;
        ssize_t got = tracee_read(request, address + have, into + have, part);
        if (got <= 0) return -1;
        char *end = memchr(into + have, 0, (size_t)got);
        if (end) return end - into;
        have += (size_t)got;
        want = PAGE;
    }
    return -1;
}

/* As many as lie in the same page: the next may not be mapped. */
static size_t read_pointers(const struct request *request, uint64_t address, uint64_t *into) {
    size_t room = PAGE - (address & (PAGE - 1));
    if (room > POINTERS_AT_ONCE * sizeof *into) room = POINTERS_AT_ONCE * sizeof *into;
    if (room < sizeof *into) room = sizeof *into;
    ssize_t got = tracee_read(request, address, into, room);
    return got < 0 ? 0 : (size_t)got / sizeof *into;
}

struct word *tracee_argv(const struct request *request, uint64_t address) {
    static char text[ARGV_ROOM];
    uint64_t pointers[POINTERS_AT_ONCE];
    size_t filled = 0, known = 0, at = 0;
    if (!address) return word_of("", 0);
    for (size_t i = 0; i < ARGC_MAX; i++) {
        if (at == known) {
            at = 0;
            known = read_pointers(request, address + i * sizeof *pointers, pointers);
        }
        if (!known || !pointers[at]) break;
        uint64_t pointer = pointers[at++];
        size_t left = sizeof text - filled;
        if (left < 2) break;
        ssize_t length = tracee_string(request, pointer, text + filled, left - 1);
        if (length < 0) break; /* a longer argument list is cut, for display only */
        filled += (size_t)length + 1;
    }
    return word_of(text, filled);
}

ssize_t tracee_link(pid_t tid, const char *entry, char *into, size_t room) {
    char link[64];
    by_number = true;
    snprintf(link, sizeof link, "/proc/%d/%s", tid, entry);
    ssize_t length = readlink(link, into, room - 1);
    if (length >= 0) into[length] = 0;
    if (length < 0 && (errno == EACCES || errno == EPERM || errno == ENAMETOOLONG))
        stream_doubt("unreadable", "%s of process %d cannot be read (%s)", entry, tid,
                     strerror(errno));
    return length;
}

int tracee_descriptor(const struct request *request, int fd) {
    int pidfd = request->process->pidfd;
    if (pidfd < 0) return -1;
    return (int)syscall(SYS_pidfd_getfd, (long)pidfd, (long)fd, 0L);
}
