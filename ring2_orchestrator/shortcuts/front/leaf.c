/* A compiler called inside a recorded run that was not answered: it is run here, as one leaf of that
 * run, and what its recording cannot tell is written down (docs/formats/home.md, "leaves").
 *
 * The recorder sees all that the compiler does. Which processes are the leaf's is told by two files
 * in the recording's scratch folder, one made before the compiler begins and one when it has ended. */
#include "front.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char magic[8] = {'R', 'X', 'L', 'E', 'A', 'F', '0', '1'};
enum { MOST_WORDS = 1 << 16, NO_WINDOW = 0xffff };
static char place[PATH_MAX]; /* the name of this leaf in the scratch folder */
static bool within, anew;

bool in_leaf(void) { return within; }
bool leaf_may_answer(void) { return !anew; }

uint64_t clock_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The scratch folder is the third word after the helper's name (recorder/trace/main.c). */
static bool find_scratch(int helper, char scratch[PATH_MAX]) {
    static char words[MOST_WORDS];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", helper);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t length = read(fd, words, sizeof words - 1);
    close(fd);
    const char *at = words, *end = words + (length > 0 ? length : 0);
    for (int i = 0; i < 3; i++) {
        at = memchr(at, 0, (size_t)(end - at));
        if (!at++) return false;
    }
    if (at >= end || *at != '/' || strnlen(at, (size_t)(end - at)) >= PATH_MAX - 64) return false;
    strcpy(scratch, at);
    return true;
}

bool begin_leaf(char *home) {
    struct stat st;
    int helper = recorder_above();
    if (helper <= 0 || !find_scratch(helper, home)) return false;
    snprintf(place, sizeof place - 64, "%s/leaves", home);
    /* Whoever records says so by this folder that it wants to know of leaves. */
    if (lstat(place, &st) || !S_ISDIR(st.st_mode)) return false;
    size_t length = strlen(place);
    strcpy(place + length, "/anew"); /* it is run again to see whether it does the same */
    anew = !lstat(place, &st);
    snprintf(place + length, sizeof place - length, "/%d-%llu", getpid(),
             (unsigned long long)clock_of(CLOCK_MONOTONIC));
    char *name = strrchr(home, '/');
    *name = 0;
    char *parent = strrchr(home, '/'); /* HOME/scratch/NAME */
    if (!parent || strcmp(parent, "/scratch")) return false;
    *parent = 0;
    return within = true;
}

static bool is_null_device(const struct stat *st) {
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

bool input_is_empty(void) {
    struct stat st;
    if (fstat(0, &st)) return false;
    if (S_ISREG(st.st_mode)) return lseek(0, 0, SEEK_CUR) >= st.st_size;
    return is_null_device(&st);
}

/* The pipe of a build's jobs, as the recorder's helper knows it: its bytes are all alike. */
static bool is_of_jobs(int fd) {
    static const char *const variables[] = {"MAKEFLAGS", "CARGO_MAKEFLAGS"};
    static const char *const options[] = {"--jobserver-auth=", "--jobserver-fds="};
    for (size_t i = 0; i < 4; i++) {
        const char *value = getenv(variables[i / 2]), *option = options[i % 2];
        const char *at = value ? strstr(value, option) : NULL;
        int reading, writing;
        if (at && sscanf(at + strlen(option), "%d,%d", &reading, &writing) == 2 &&
            (fd == reading || fd == writing))
            return true;
    }
    return false;
}

/* Those that the whole run was given are watched by the recorder's helper in all its processes: a use of
 * one is a doubt of the run, and then no leaf is kept. They are listed by who started the recording. */
static struct bytes read_given(void) {
    char path[PATH_MAX];
    struct bytes text = {0};
    const char *slash = strrchr(place, '/');
    snprintf(path, sizeof path, "%.*s/given", (int)(slash - place), place);
    if (!read_own_file(path, MOST_WORDS, &text)) text.length = 0;
    add(&text, "", 1);
    return text;
}

static bool is_given(const struct bytes *given, int fd, const struct stat *st) {
    char line[96];
    snprintf(line, sizeof line, "%d %llu %llu\n", fd, (unsigned long long)st->st_dev,
             (unsigned long long)st->st_ino);
    for (const char *at = (const char *)given->data; (at = strstr(at, line)); at++)
        if (at == (const char *)given->data || at[-1] == '\n') return true;
    return false;
}

/* What came through any other descriptor would be an input of which nobody knows the bytes. */
static bool has_descriptors(void) {
    struct bytes given = read_given();
    DIR *folder = opendir("/proc/self/fd");
    bool found = !folder;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int fd = atoi(entry->d_name), flags = fd > 2 ? fcntl(fd, F_GETFD) : FD_CLOEXEC;
        struct stat st;
        if (flags < 0 || (flags & FD_CLOEXEC) || fstat(fd, &st)) continue;
        bool harmless = is_null_device(&st) || (S_ISFIFO(st.st_mode) && is_of_jobs(fd)) ||
                        is_given(&given, fd, &st);
        found = found || !harmless;
    }
    if (folder) closedir(folder);
    return found;
}

static int make_file(const char *suffix) {
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s%s", place, suffix);
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

void add_measured(struct bytes *to, const struct bytes *part) {
    add_number(to, part->length, 4);
    add(to, part->data, part->length);
}

static void add_words(struct bytes *to, char **words) {
    struct bytes joined = {0};
    for (; *words; words++) add(&joined, *words, strlen(*words) + 1);
    add_measured(to, &joined);
}

bool add_surroundings(struct bytes *note, char **command) {
    char folder[PATH_MAX];
    struct bytes text = {0}, cwd = {0};
    uint64_t terminals = 0, columns = NO_WINDOW, rows = 0;
    struct winsize size;
    for (int fd = 0; fd < 3; fd++) terminals |= (uint64_t)isatty(fd) << fd;
    for (int fd = 2; fd >= 0; fd--)
        if (!ioctl(fd, TIOCGWINSZ, &size)) columns = size.ws_col, rows = size.ws_row;
    if (!getcwd(folder, sizeof folder) || folder[0] != '/' || !add_machine(&text)) return false;
    add(&cwd, folder, strlen(folder));
    add_number(note, current_umask(), 4);
    add_number(note, terminals, 1), add_number(note, one_file(1, 2), 1);
    add_number(note, columns, 2), add_number(note, rows, 2);
    add_measured(note, &text);
    add_measured(note, &cwd);
    add_words(note, command);
    add_words(note, environ);
    return true;
}

static void write_note(const struct bytes *note) {
    int fd = make_file(".end");
    size_t done = 0;
    while (fd >= 0 && done < note->length) {
        ssize_t wrote = write(fd, note->data + done, note->length - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) break; /* a note in part is none */
        done += (size_t)wrote;
    }
    if (fd >= 0) close(fd);
}

_Noreturn void run_leaf(char **command) {
    struct bytes around = {0}, note = {0};
    struct relayed relayed = {0};
    within = false; /* whatever fails from here on is no reason to begin again */
    if (!input_is_empty() || has_descriptors() || !add_surroundings(&around, command)) run_plainly(command);
    int announced = make_file("");
    if (announced < 0) run_plainly(command);
    close(announced);
    uint64_t begun = clock_of(CLOCK_REALTIME);
    relay(command, &relayed);
    if (!relayed.code && !relayed.lost) {
        add(&note, magic, sizeof magic);
        add_number(&note, (uint64_t)relayed.pid, 4);
        add_number(&note, begun, 8);
        add_number(&note, clock_of(CLOCK_REALTIME), 8);
        add(&note, around.data, around.length);
        add_measured(&note, &relayed.cuts);
        add_measured(&note, &relayed.printed);
        write_note(&note);
    }
    exit(relayed.code);
}
