/* Looking into a stopped process: its memory, its links under /proc, its descriptors. */
#include "trace.h"

#include <errno.h>
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

bool request_is_live(const struct request *request) {
    /* Without this check a recycled pid would let us read another process's memory. */
    uint64_t id = request->id;
    return ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

ssize_t tracee_read(const struct request *request, uint64_t address, void *into, size_t length) {
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

struct word *tracee_argv(const struct request *request, uint64_t address) {
    static char text[ARGV_ROOM];
    size_t filled = 0;
    if (!address) return word_of("", 0);
    for (size_t i = 0; i < ARGC_MAX; i++) {
        uint64_t pointer = 0;
        if (tracee_read(request, address + i * sizeof(char *), &pointer, sizeof(char *)) <
                (ssize_t)sizeof(char *) ||
            !pointer)
            break;
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
