/* Descriptors beyond 0, 1 and 2: handed on as they came, and watched, because what flows through
 * them is written down nowhere. Having them is no doubt; using one is. */
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int inherited[INHERITED_MAX];
size_t inherited_count;
static struct stat originals[INHERITED_MAX];
static int jobs[8]; /* not watched, but not kept open either */
static size_t job_count;

static bool is_harmless(const struct stat *st) {
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3); /* the null device */
}

/* The pipe of a build's jobs, from which one takes leave to go on, and nothing else: its bytes are
 * all alike. Make and cargo name it in these variables. */
static bool is_of_jobs(int fd, const struct stat *st) {
    static const char *const variables[] = {"MAKEFLAGS", "CARGO_MAKEFLAGS"};
    static const char *const options[] = {"--jobserver-auth=", "--jobserver-fds="};
    for (size_t i = 0; S_ISFIFO(st->st_mode) && i < 2; i++) {
        const char *value = getenv(variables[i]);
        for (size_t j = 0; value && j < 2; j++) {
            int reading, writing;
            const char *at = strstr(value, options[j]);
            if (at && sscanf(at + strlen(options[j]), "%d,%d", &reading, &writing) == 2 &&
                (fd == reading || fd == writing))
                return true;
        }
    }
    return false;
}

static void consider(int fd, int control) {
    struct stat st;
    int flags = fcntl(fd, F_GETFD);
    if (fd <= 2 || fd == control || flags < 0 || (flags & FD_CLOEXEC)) return;
    if (fstat(fd, &st) || is_harmless(&st)) return;
    if (is_of_jobs(fd, &st)) {
        if (job_count < sizeof jobs / sizeof *jobs) jobs[job_count++] = fd;
        return;
    }
    if (inherited_count == INHERITED_MAX) {
        stream_doubt("inherited-descriptor", "more descriptors were inherited than are watched");
        return;
    }
    originals[inherited_count] = st;
    inherited[inherited_count++] = fd;
}

void inherited_find(int control) {
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        stream_doubt("inherited-descriptor", "/proc/self/fd cannot be read");
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') consider(atoi(entry->d_name), control);
    closedir(folder);
}

void inherited_close(void) {
    for (size_t i = 0; i < inherited_count; i++) close(inherited[i]);
    for (size_t i = 0; i < job_count; i++) close(jobs[i]);
}

static void used(const struct request *r, size_t at) {
    char link[64], text[256];
    struct stat st;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", r->tid, inherited[at]);
    if (stat(link, &st) || st.st_dev != originals[at].st_dev || st.st_ino != originals[at].st_ino)
        return; /* the number means something else by now */
    ssize_t length = readlink(link, text, sizeof text - 1);
    text[length > 0 ? length : 0] = 0;
    if (request_is_live(r))
        stream_doubt("inherited-descriptor", "%s uses descriptor %d (%s), which it was given",
                     r->process->exe->text, inherited[at], text);
}

void inherited_used(const struct request *r) {
    for (size_t i = 0; i < descriptor_use_count; i++) {
        if (descriptor_uses[i].number != r->number) continue;
        for (size_t at = 0; at < inherited_count; at++)
            if ((int)r->arg[descriptor_uses[i].argument] == inherited[at]) used(r, at);
    }
}
