/* What stands at the paths on which an answer rests: one look at each, most often a stat. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum fact { ABSENT, STAMP, MODE, TYPE, BLANK, BYTES, PRESENT, CONTENT, BLOCKED, TIMED };

static int64_t ns_of(struct timespec time) { return time.tv_sec * 1000000000 + time.tv_nsec; }

struct stamp take_stamp(struct reader *from) {
    struct stamp stamp = {.dev = take(from, 8), .ino = take(from, 8)};
    stamp.mode = (uint32_t)take(from, 4);
    stamp.size = take(from, 8);
    stamp.mtime = (int64_t)take(from, 8);
    stamp.ctime = (int64_t)take(from, 8);
    return stamp;
}

bool same_stamp(const struct stamp *wanted, const struct stat *st) {
    return st->st_dev == wanted->dev && st->st_ino == wanted->ino && st->st_mode == wanted->mode &&
           (uint64_t)st->st_size == wanted->size && ns_of(st->st_mtim) == wanted->mtime &&
           ns_of(st->st_ctim) == wanted->ctime;
}

static bool still_stands(int fd, const struct stat *st) {
    struct stat now;
    return !fstat(fd, &now) && now.st_dev == st->st_dev && now.st_ino == st->st_ino &&
           now.st_size == st->st_size && ns_of(now.st_mtim) == ns_of(st->st_mtim) &&
           ns_of(now.st_ctim) == ns_of(st->st_ctim);
}

/* Read and not mapped: whoever cuts the file meanwhile must not end this process. */
static bool read_all(int fd, unsigned char *data, size_t size) {
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, data + length, size - length);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        length += (size_t)got;
    }
    return true;
}

bool same_content(const char *path, const struct stat *st, const unsigned char key[KEY_BYTES],
                  const unsigned char *digest) {
    unsigned char found[DIGEST_BYTES];
    size_t size = (size_t)st->st_size;
    unsigned char *data = malloc(size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    bool same = data && fd >= 0 && still_stands(fd, st) && read_all(fd, data, size);
    if (same) {
        keyed_digest(key, data, size, found);
        same = !memcmp(found, digest, DIGEST_BYTES) && still_stands(fd, st);
    }
    if (fd >= 0) close(fd);
    free(data);
    return same;
}

/* A file of the same bytes, whenever they were written. */
static bool same_file(struct reader *from, const char *path, const struct stat *st,
                      const unsigned char key[KEY_BYTES], struct findings *found) {
    struct stamp wanted = take_stamp(from);
    const unsigned char *digest = take_bytes(from, DIGEST_BYTES);
    if (from->bad || st->st_mode != wanted.mode || (uint64_t)st->st_size != wanted.size)
        return false;
    if (ns_of(st->st_mtim) > found->newest) found->newest = ns_of(st->st_mtim);
    if (same_stamp(&wanted, st)) return true;
    found->renewed = true;
    return S_ISREG(st->st_mode) && same_content(path, st, key, digest);
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

/* Looks at a path as deeply as the compiler did, so that the recorder of the run that we are a leaf
 * of takes it for an input: a file that is only looked at may be changed later by that run. */
static void touch(const char *path, const struct stat *st, bool there) {
    char block[PATH_MAX];
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    if (there && S_ISLNK(st->st_mode) && readlink(path, block, sizeof block) >= 0) return;
    if (there && !S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) return;
    int fd = open(path, flags);
    if (fd < 0) return;
    if (there && S_ISDIR(st->st_mode)) syscall(SYS_getdents64, fd, block, sizeof block);
    close(fd);
}

static bool is_deep(enum fact fact) {
    return fact == ABSENT || fact == STAMP || fact == BLANK || fact == CONTENT || fact == BLOCKED;
}

static bool holds(struct reader *from, enum fact fact, const char *path, struct nearby *last,
                  const unsigned char key[KEY_BYTES], struct findings *found) {
    struct stat st = {0};
    struct stamp wanted;
    bool there = fact != BYTES && look(last, path, &st);
    int why = there || fact == BYTES ? 0 : errno;
    if (in_leaf() && is_deep(fact)) touch(path, &st, there);
    switch (fact) {
    case ABSENT: return why == ENOENT;
    /* The recorder would have to know that its time counts. */
    case TIMED: wanted = take_stamp(from); return there && !in_leaf() && same_stamp(&wanted, &st);
    case BLOCKED: return take(from, 4) == (unsigned)why && why;
    case STAMP: wanted = take_stamp(from); return there && same_stamp(&wanted, &st);
    case MODE: return take(from, 4) == st.st_mode && there;
    case TYPE: return take(from, 4) == (st.st_mode & S_IFMT) && there;
    case BLANK: return why == ENOENT || (there && S_ISREG(st.st_mode) && !st.st_size);
    case BYTES: return same_bytes(path, take_part(from));
    case PRESENT: return there;
    case CONTENT: return there && same_file(from, path, &st, key, found);
    }
    return false;
}

bool facts_hold(struct reader *from, const unsigned char key[KEY_BYTES], struct findings *found) {
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
        if (!holds(from, fact, path, &last, key, found)) return false;
    }
    return !from->bad && from->at == from->end;
}
