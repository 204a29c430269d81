/* Putting back what a compiler left: all of it, or nothing and Python is asked.
 *
 * The bytes come straight from the packs of the store, by the places at which they stood when the
 * shortcut was made, and count only where they have the digest of then. Everything is written into
 * files without names first; then each gets its name. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STEP_NS = 1000 }; /* between files that were written one after the other */
enum { SEEN = 1, TIMED = 2 };

struct output {
    char *path;
    uint32_t flags, mode, rank;
    uint64_t size;
    int64_t mtime;
    struct stamp stamp;
    const unsigned char *digest;
    struct reader extents;
    bool stands; /* a file with the right bytes */
    int folder, file;
};

static struct output take_output(struct reader *from) {
    struct output output = {.folder = -1, .file = -1};
    struct reader path = take_part(from);
    output.flags = (uint32_t)take(from, 1);
    output.rank = (uint32_t)take(from, 4);
    output.mtime = (int64_t)take(from, 8);
    output.stamp = take_stamp(from);
    output.mode = output.stamp.mode, output.size = output.stamp.size;
    output.digest = take_bytes(from, DIGEST_BYTES);
    output.extents = take_part(from);
    if (!from->bad && !(output.path = strndup((const char *)path.at, (size_t)(path.end - path.at))))
        from->bad = true;
    return output;
}

/* The folder, where every name on the way is that of a folder and no link. */
static int open_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path || !slash[1] || slash - path >= PATH_MAX) return -1;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    return (int)syscall(SYS_openat2, AT_FDCWD, folder, &how, sizeof how);
}

static const char *name_of(const struct output *output) { return strrchr(output->path, '/') + 1; }

/* Whether the place is free, or taken by what the command itself would simply write over. */
static bool is_writable(struct output *output, const unsigned char key[KEY_BYTES]) {
    struct stat st;
    if ((output->folder = open_folder(output->path)) < 0) return false;
    if (fstatat(output->folder, name_of(output), &st, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return false;
    if (faccessat(output->folder, name_of(output), W_OK, AT_EACCESS)) return false;
    output->stands = same_stamp(&output->stamp, &st);
    if (output->stands || !(output->flags & SEEN)) return true;
    /* The command has looked there, so only its own work may stand there. */
    return st.st_mode == output->mode && (uint64_t)st.st_size == output->size &&
           same_content(output->path, &st, key, output->digest);
}

static bool read_extent(const char *home, struct reader *extents, unsigned char **at, size_t *left) {
    char path[PATH_MAX];
    uint64_t pack = take(extents, 4), offset = take(extents, 8), length = take(extents, 8);
    if (extents->bad || length > *left) return false;
    snprintf(path, sizeof path, "%s/store/packs/%08llu.pack", home, (unsigned long long)pack);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool fine = fd >= 0;
    while (fine && length) {
        ssize_t got = pread(fd, *at, length, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        fine = got > 0;
        if (fine) *at += got, *left -= (size_t)got, length -= (uint64_t)got, offset += (uint64_t)got;
    }
    if (fd >= 0) close(fd);
    return fine;
}

static unsigned char *content(const struct output *output, const char *home,
                              const unsigned char key[KEY_BYTES]) {
    unsigned char found[DIGEST_BYTES], *data = malloc(output->size + 1), *at = data;
    size_t left = output->size;
    struct reader extents = output->extents;
    bool fine = data != NULL;
    while (fine && extents.at < extents.end) fine = read_extent(home, &extents, &at, &left);
    if (fine) keyed_digest(key, data, output->size, found);
    if (fine && !left && !memcmp(found, output->digest, DIGEST_BYTES)) return data;
    free(data);
    return NULL;
}

static bool write_all(int fd, const unsigned char *data, size_t length) {
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        data += done, length -= (size_t)done;
    }
    return true;
}

/* Write the output into a file that has no name yet. */
static bool stage(struct output *output, const char *home, const unsigned char key[KEY_BYTES],
                  int64_t now) {
    int64_t time = output->flags & TIMED ? output->mtime : now + output->rank * STEP_NS;
    struct timespec moment = {.tv_sec = time / 1000000000, .tv_nsec = time % 1000000000};
    unsigned char *data = content(output, home, key);
    if (!data) return false;
    output->file = openat(output->folder, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
    bool fine = output->file >= 0 && write_all(output->file, data, output->size) &&
                !fchmod(output->file, output->mode & 07777) &&
                !futimens(output->file, (struct timespec[]){moment, moment});
    free(data);
    return fine;
}

static bool reveal(const struct output *output, size_t number) {
    char file[64], temporary[64];
    snprintf(file, sizeof file, "/proc/self/fd/%d", output->file);
    if (!linkat(AT_FDCWD, file, output->folder, name_of(output), AT_SYMLINK_FOLLOW)) return true;
    if (errno != EEXIST) return false;
    /* As ring2_orchestrator.runs.staging names it, so that a killed one is swept. */
    snprintf(temporary, sizeof temporary, ".redoxa-restore-%d-%zu", getpid(), number);
    return !linkat(AT_FDCWD, file, output->folder, temporary, AT_SYMLINK_FOLLOW) &&
           !renameat(output->folder, temporary, output->folder, name_of(output));
}

static int64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now); /* the finest that a file's time can come from */
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool all_stand(const struct output *outputs, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!outputs[i].stands) return false;
    return true;
}

static bool tell_presence(const char *home, const struct output *outputs, size_t count) {
    struct bytes *paths = calloc(count + 1, sizeof *paths);
    if (!paths) return false;
    for (size_t i = 0; i < count; i++)
        paths[i] = (struct bytes){(unsigned char *)outputs[i].path, strlen(outputs[i].path) + 1, 0};
    bool done = be_present(home, paths, count);
    free(paths);
    return done;
}

bool put_back(const struct answer *answer, const char *home, const unsigned char key[KEY_BYTES],
              const struct findings *found) {
    struct reader rows = answer->left;
    size_t count = (size_t)take(&rows, 4);
    if (rows.bad) leave_to_python();
    if (!count) {
        if (rows.at < rows.end) leave_to_python();
        return false;
    }
    if (count > answer->outputs) leave_to_python();
    struct output *outputs = calloc(count, sizeof *outputs);
    for (size_t i = 0; outputs && i < count; i++) {
        outputs[i] = take_output(&rows);
        if (rows.bad || !is_writable(&outputs[i], key)) leave_to_python();
    }
    if (!outputs || rows.at < rows.end) leave_to_python();
    /* In a recorded run they are what it leaves, so they are written as the compiler would. */
    if (!found->renewed && !in_leaf() && all_stand(outputs, count)) return false;
    int64_t now = clock_ns();
    /* What is made is newer than what it is made of, also where a clock was set back. */
    if (found->newest > now) leave_to_python();
    /* The recorded run is present itself, and sees what is written. */
    if (!in_leaf() && !tell_presence(home, outputs, count)) leave_to_python();
    for (size_t i = 0; i < count; i++)
        if (!stage(&outputs[i], home, key, now)) leave_to_python();
    for (size_t i = 0; i < count; i++)
        if (!reveal(&outputs[i], i)) leave_to_python();
    return true;
}
