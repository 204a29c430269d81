/* The spool: answers given without Python, durable at once, and entered in the ledger by whoever
 * opens it next. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const unsigned char mark[8] = "RXREUSE1";

static bool make_record(struct bytes *record, const unsigned char key[KEY_BYTES],
                        struct reader entry, uint64_t wall_ns) {
    unsigned char name[16], digest[DIGEST_BYTES];
    struct timespec now;
    if (getrandom(name, sizeof name, 0) != sizeof name || clock_gettime(CLOCK_REALTIME, &now))
        return false;
    add(record, mark, sizeof mark);
    add_number(record, (uint64_t)(entry.end - entry.at), 4);
    add(record, name, sizeof name);
    add_number(record, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec, 8);
    add_number(record, wall_ns, 8);
    add(record, entry.at, (size_t)(entry.end - entry.at));
    keyed_digest(key, record->data, record->length, digest);
    add(record, digest, sizeof digest);
    return true;
}

static int open_spool(const char *home, char path[PATH_MAX], bool *made) {
    int length = snprintf(path, PATH_MAX, "%s/reuses", home);
    if (length < 0 || length >= PATH_MAX) return -1;
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, fd = open(path, flags);
    *made = fd < 0 && errno == ENOENT;
    return *made ? open(path, flags | O_CREAT, 0600) : fd;
}

/* One write, or none: a limit on the size of files must not end this process. */
static bool append(int fd, const struct bytes *record) {
    void (*limit)(int) = signal(SIGXFSZ, SIG_IGN);
    bool whole = write(fd, record->data, record->length) == (ssize_t)record->length;
    signal(SIGXFSZ, limit);
    return whole;
}

static bool sync_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && !fsync(fd);
    if (fd >= 0) close(fd);
    return done;
}

bool tell_ledger(const char *home, const unsigned char key[KEY_BYTES], struct reader entry,
                 uint64_t wall_ns) {
    char path[PATH_MAX];
    struct bytes record = {0};
    struct stat st;
    bool made, done;
    int fd = open_spool(home, path, &made);
    if (fd < 0) return false;
    /* Shared with others that append, against the one that takes it all and empties the file. */
    done = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           !flock(fd, LOCK_SH) && make_record(&record, key, entry, wall_ns) &&
           append(fd, &record) && !fdatasync(fd) && (!made || sync_folder(home));
    close(fd);
    return done;
}
