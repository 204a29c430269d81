/* What stands at the paths on which an answer rests: one look at each, most often a stat. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum fact { ABSENT, STAMP, MODE, TYPE, BLANK, BYTES, PRESENT };

static bool same_stamp(struct reader *from, const struct stat *st, bool there) {
    uint64_t dev = take(from, 8), ino = take(from, 8), mode = take(from, 4), size = take(from, 8);
    int64_t mtime = (int64_t)take(from, 8), ctime = (int64_t)take(from, 8);
    return there && st->st_dev == dev && st->st_ino == ino && st->st_mode == mode &&
           (uint64_t)st->st_size == size &&
           st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec == mtime &&
           st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec == ctime;
}

/* The kernel's own files have no honest times, so these are read; all of them are short. */
static bool same_bytes(const char *path, struct reader wanted) {
    unsigned char block[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return false;
    bool same = true;
    while (same) {
        ssize_t got = read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            same = got == 0 && wanted.at == wanted.end;
            break;
        }
        same = got <= wanted.end - wanted.at && !memcmp(block, wanted.at, (size_t)got);
        wanted.at += got;
    }
    close(fd);
    return same;
}

/* Nothing stands where it cannot be reached; a disk that fails says nothing of what stands on it. */
static bool is_absent(void) {
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP ||
           errno == ENAMETOOLONG;
}

/* The folder of the paths just looked at: most facts lie beside the one before them, and a look
 * from an open folder spares the kernel the way there. */
struct nearby {
    char folder[PATH_MAX]; /* with its slash */
    size_t length;
    int fd; /* -1 until a second path in it is looked at */
};

static bool look(struct nearby *last, const char *path, struct stat *st) {
    const char *name = strrchr(path, '/');
    size_t length = name ? (size_t)(name + 1 - path) : 0;
    if (!length || !path[length] || length != last->length ||
        memcmp(path, last->folder, length)) {
        if (last->fd >= 0) close(last->fd);
        last->fd = -1;
        last->length = length;
        memcpy(last->folder, path, length);
        return !lstat(path, st);
    }
    if (last->fd < 0) {
        last->folder[length] = 0;
        last->fd = open(last->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (last->fd < 0) return !lstat(path, st);
    return !fstatat(last->fd, path + length, st, AT_SYMLINK_NOFOLLOW);
}

static bool holds(struct reader *from, enum fact fact, const char *path, struct nearby *last) {
    struct stat st = {0};
    bool there = fact != BYTES && look(last, path, &st), absent = !there && is_absent();
    switch (fact) {
    case ABSENT: return absent;
    case STAMP: return same_stamp(from, &st, there);
    case MODE: return take(from, 4) == st.st_mode && there;
    case TYPE: return take(from, 4) == (st.st_mode & S_IFMT) && there;
    case BLANK: return absent || (there && S_ISREG(st.st_mode) && !st.st_size);
    case BYTES: return same_bytes(path, take_part(from));
    case PRESENT: return there;
    }
    return false;
}

bool facts_hold(struct reader *from) {
    char path[PATH_MAX] = "";
    struct nearby last = {.fd = -1};
    uint64_t count = take(from, 4);
    for (uint64_t i = 0; i < count && !from->bad; i++) {
        enum fact fact = (enum fact)take(from, 1);
        size_t shared = take(from, 2), rest = take(from, 2); /* a path begins as the one before it */
        if (from->bad || shared + rest >= sizeof path || (size_t)(from->end - from->at) < rest ||
            strnlen(path, sizeof path) < shared)
            return false;
        memcpy(path + shared, from->at, rest);
        path[shared + rest] = 0;
        from->at += rest;
        if (!holds(from, fact, path, &last)) return false;
    }
    return !from->bad && from->at == from->end;
}
