/* Lets one call of the system fail: preloaded, it stands between a program and the C library.
 *
 * Counted are calls on files below a folder, whoever makes them, SQLite included. Nothing is
 * counted until `failing_arm` is called; `failing_disarm` says how many calls were left.
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* What happens to the call: an error, less moved than was asked for, the latter and then the error,
 * or an error from there on. */
enum { ONCE, SHORT, TORN, EVER };

static char folder[PATH_MAX];
static size_t folder_length;
static atomic_long left; /* calls until the one that fails; 0: not armed */
static int how, code, writes; /* `writes`: calls that only read are not counted */
static char failed[64]; /* the name of the call that failed */

void failing_arm(const char *below, long at, int what, int error, int only) {
    snprintf(folder, sizeof folder, "%s/", below);
    folder_length = strlen(folder);
    how = what, code = error, writes = only, failed[0] = 0;
    atomic_store(&left, at);
}

long failing_disarm(void) { return atomic_exchange(&left, 0); }

const char *failing_name(void) { return failed; }

static int below(const char *path) { return strncmp(path, folder, folder_length) == 0; }

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this call is the one. */
static int fails(const char *name, int reads) {
    if (reads && writes) return 0;
    long now = atomic_load(&left);
    do {
        if (now == 0) return 0;
        if (now < 0) break; /* failed before, and fails for ever */
    } while (!atomic_compare_exchange_weak(&left, &now, now - 1 ? now - 1 : -1));
    if (now > 1 || (now < 0 && how != EVER)) return 0;
    if (!failed[0]) snprintf(failed, sizeof failed, "%s", name);
    return 1;
}

static int path_fails(const char *name, const char *path, int reads) {
    return atomic_load(&left) && below(path) && fails(name, reads);
}

static int fd_fails(const char *name, int fd, int reads) {
    int before = errno;
    int does = atomic_load(&left) && below_fd(fd) && fails(name, reads);
    errno = before;
    return does;
}

static int refuse(void) {
    errno = code;
    return -1;
}

#define REAL(name)                                    \
    static __typeof__(&name) real;                    \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                    \
    int name(const char *path, int flags, ...) {      \
        va_list more;                                 \
        va_start(more, flags);                        \
        mode_t mode = va_arg(more, mode_t);           \
        va_end(more);                                 \
        REAL(name);                                   \
        return path_fails("open", path, !(flags & (O_CREAT | O_TRUNC))) ? refuse() : real(path, flags, mode); \
    }
OPEN(open)
#ifdef __GLIBC__ /* elsewhere these are other names of the same functions */
OPEN(open64)
#endif

/* How much of `count` bytes a call that must fail still moves: half of them, or none. */
static size_t part(size_t count) { return how == SHORT || how == TORN ? count / 2 : 0; }

/* What a call that must fail answers when it moved `done` bytes. */
static ssize_t moved(ssize_t done) { return how == SHORT && done > 0 ? done : refuse(); }

#define MOVE(name, room, reads)                                                     \
    ssize_t name(int fd, room data, size_t count) {                          \
        REAL(name);                                                          \
        if (!fd_fails(#name, fd, reads)) return real(fd, data, count);              \
        return moved(part(count) ? real(fd, data, part(count)) : 0);         \
    }
MOVE(read, void *, 1)
MOVE(write, const void *, 0)

#define MOVE_AT(name, room, offset_t, reads)                                        \
    ssize_t name(int fd, room data, size_t count, offset_t at) {             \
        REAL(name);                                                          \
        if (!fd_fails(#name, fd, reads)) return real(fd, data, count, at);          \
        return moved(part(count) ? real(fd, data, part(count), at) : 0);     \
    }
MOVE_AT(pread, void *, off_t, 1)
MOVE_AT(pwrite, const void *, off_t, 0)
#ifdef __GLIBC__
MOVE_AT(pread64, void *, off64_t, 1)
MOVE_AT(pwrite64, const void *, off64_t, 0)
#endif

/* Of several parts the first half is moved, and half of a part that stands alone. */
static int half_of(const struct iovec *parts, int count, struct iovec *half) {
    if (count > 1) return (int)part((size_t)count);
    *half = (struct iovec){parts->iov_base, part(parts->iov_len)};
    return half->iov_len ? 1 : 0;
}

#define MOVE_PARTS(name, reads, more, given)                             \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at more) { \
        REAL(name);                                                          \
        if (!fd_fails(#name, fd, reads)) return real(fd, parts, count, at given); \
        struct iovec half;                                                   \
        int some = half_of(parts, count, &half);                             \
        const struct iovec *which = count > 1 ? parts : &half;               \
        return moved(some ? real(fd, which, some, at given) : 0);            \
    }
#define AND_FLAGS , int flags
#define SAME_FLAGS , flags
#define NOTHING
MOVE_PARTS(preadv, 1, NOTHING, NOTHING)
MOVE_PARTS(pwritev, 0, NOTHING, NOTHING)
#ifdef __GLIBC__
MOVE_PARTS(preadv64, 1, NOTHING, NOTHING)
MOVE_PARTS(pwritev64, 0, NOTHING, NOTHING)
MOVE_PARTS(preadv64v2, 1, AND_FLAGS, SAME_FLAGS)
MOVE_PARTS(pwritev64v2, 0, AND_FLAGS, SAME_FLAGS)
#endif

#define ON_FD(name)                                                          \
    int name(int fd) {                                                       \
        REAL(name);                                                          \
        return fd_fails(#name, fd, 0) ? refuse() : real(fd);                    \
    }
ON_FD(fsync)
ON_FD(fdatasync)

#define CUT(name, offset_t)                                                  \
    int name(int fd, offset_t length) {                                      \
        REAL(name);                                                          \
        return fd_fails(#name, fd, 0) ? refuse() : real(fd, length);      \
    }
CUT(ftruncate, off_t)
#ifdef __GLIBC__
CUT(ftruncate64, off64_t)
#endif

/* These answer with the error itself. */
#define RESERVE(name, offset_t)                                              \
    int name(int fd, offset_t at, offset_t length) {                         \
        REAL(name);                                                          \
        return fd_fails(#name, fd, 0) ? code : real(fd, at, length); \
    }
RESERVE(posix_fallocate, off_t)
#ifdef __GLIBC__
RESERVE(posix_fallocate64, off64_t)
#endif

#define ON_PATH(name)                                                        \
    int name(const char *path) {                                             \
        REAL(name);                                                          \
        return path_fails(#name, path, 0) ? refuse() : real(path);              \
    }
ON_PATH(unlink)

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return path_fails("mkdir", path, 0) ? refuse() : real(path, mode);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return path_fails("rename", from, 0) ? refuse() : real(from, to);
}

int futimens(int fd, const struct timespec times[2]) {
    REAL(futimens);
    return fd_fails("futimens", fd, 0) ? refuse() : real(fd, times);
}
