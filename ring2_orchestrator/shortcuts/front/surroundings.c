/* All around a run that is no file: rights, machine, variables and the three standard streams.
 *
 * What can be told in words is told in one text, and the shortcut holds the text's keyed digest, so
 * that no value of a variable is written down. */
#include "front.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

enum { NO_WINDOW = 0xffff, STREAMS_BYTES = 7 };
enum stdin_kind { STDIN_NOTHING, STDIN_TERMINAL, STDIN_UNREAD };

static int by_number(const void *a, const void *b) {
    gid_t one = *(const gid_t *)a, other = *(const gid_t *)b;
    return (one > other) - (one < other);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_groups(struct bytes *text) {
    int count = getgroups(0, NULL);
    gid_t *groups = calloc(count > 0 ? (size_t)count : 1, sizeof *groups);
    if (!groups || count < 0 || getgroups(count, groups) != count) return false;
    qsort(groups, (size_t)count, sizeof *groups, by_number);
    add_text(text, "groups=");
    for (int i = 0; i < count; i++) add_text(text, i ? ",%u" : "%u", groups[i]);
    add_text(text, "\n");
    return true;
}

static bool find_terminal(int *terminal) {
    char text[1024];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    text[length > 0 ? length : 0] = 0;
    char *after_name = strrchr(text, ')');
    return after_name && sscanf(after_name + 1, " %*c %*d %*d %*d %d", terminal) == 1;
}

mode_t current_umask(void) {
    mode_t mask = umask(077); /* one thread: nobody sees the moment between */
    umask(mask);
    return mask;
}

/* In the order of the names, as the Python side sorts them. */
bool add_machine(struct bytes *text) {
    struct utsname name;
    cpu_set_t processors;
    int terminal;
    if (uname(&name) || sched_getaffinity(0, sizeof processors, &processors)) return false;
    if (!find_terminal(&terminal)) return false;
    add_text(text, "controlling terminal=%s\n", terminal ? "present" : "none");
    if (!add_groups(text)) return false;
    add_text(text, "host name=%s\n", name.nodename);
    add_text(text, "kernel=%s %s %s\n", name.sysname, name.release, name.machine);
    add_text(text, "processors=%d\n", CPU_COUNT(&processors));
    add_text(text, "user=%u:%u\n", getuid(), getgid());
    return true;
}

/* Whether a name of NUL-separated names is that of a variable. */
static bool is_among(struct reader names, const char *variable) {
    size_t length = strcspn(variable, "=");
    while (names.at < names.end) {
        const unsigned char *stop = memchr(names.at, 0, (size_t)(names.end - names.at));
        size_t size = (size_t)((stop ? stop : names.end) - names.at);
        if (size == length && !memcmp(names.at, variable, length)) return true;
        names.at += size + 1;
    }
    return false;
}

static void add_variables(struct bytes *text, struct reader ignored) {
    size_t count = 0, kept = 0;
    while (environ[count]) count++;
    char **sorted = calloc(count + 1, sizeof *sorted);
    if (!sorted) leave_to_python();
    for (size_t i = 0; i < count; i++)
        if (!is_among(ignored, environ[i])) sorted[kept++] = environ[i];
    qsort(sorted, kept, sizeof *sorted, by_text);
    for (size_t i = 0; i < kept; i++) add(text, sorted[i], strlen(sorted[i]) + 1);
    free(sorted);
}

bool streams_serve(void) {
    for (int fd = 0; fd < 3; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || (flags & O_PATH)) return false;
        if ((flags & O_ACCMODE) == (fd == 0 ? O_WRONLY : O_RDONLY)) return false;
    }
    return true;
}

bool one_file(int first, int second) {
    struct stat one, other;
    if (fstat(first, &one) || fstat(second, &other)) return false;
    if (one.st_dev != other.st_dev || one.st_ino != other.st_ino) return false;
    if (S_ISREG(one.st_mode)) return lseek(first, 0, SEEK_CUR) == lseek(second, 0, SEEK_CUR);
    return true;
}

static bool same_window(uint64_t columns, uint64_t rows) {
    struct winsize size;
    for (int fd = 0; fd < 3; fd++)
        if (!ioctl(fd, TIOCGWINSZ, &size)) return size.ws_col == columns && size.ws_row == rows;
    return columns == NO_WINDOW;
}

static bool same_streams(struct reader *from) {
    uint64_t terminals = take(from, 1), merged = take(from, 1);
    uint64_t columns = take(from, 2), rows = take(from, 2), now = 0;
    for (int fd = 0; fd < 3; fd++) now |= (uint64_t)isatty(fd) << fd;
    return !from->bad && now == terminals && one_file(1, 2) == (merged == 1) &&
           (!terminals || same_window(columns, rows));
}

/* Only an input of which nothing was or would be read: everything else is for Python to compare. */
static bool same_stdin(struct reader *from) {
    struct stat st;
    enum stdin_kind wanted = (enum stdin_kind)take(from, 1);
    if (from->bad || fstat(0, &st)) return false;
    if (S_ISREG(st.st_mode))
        return wanted == STDIN_NOTHING && lseek(0, 0, SEEK_CUR) >= st.st_size;
    if (isatty(0)) return wanted == STDIN_TERMINAL;
    /* Other devices give something to read. */
    if (S_ISCHR(st.st_mode)) return wanted == STDIN_NOTHING && st.st_rdev == makedev(1, 3);
    struct pollfd waiting = {.fd = 0, .events = POLLIN};
    if (wanted != STDIN_UNREAD || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) return false;
    return poll(&waiting, 1, 0) >= 0 && !(waiting.revents & POLLIN);
}

bool surroundings_hold(struct reader *from, const unsigned char key[KEY_BYTES], bool streams) {
    struct bytes text = {0};
    unsigned char digest[DIGEST_BYTES];
    struct reader ignored = take_part(from), wanted = take_part(from);
    if (from->bad || wanted.end - wanted.at != DIGEST_BYTES) return false;
    if (streams ? !same_streams(from) || !same_stdin(from) : !take_bytes(from, STREAMS_BYTES))
        return false;
    add_text(&text, "umask=%04o\n", current_umask());
    if (!add_machine(&text)) return false;
    add_variables(&text, ignored);
    keyed_digest(key, text.data, text.length, digest);
    return !memcmp(digest, wanted.at, DIGEST_BYTES);
}
