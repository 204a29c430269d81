/* Which compiler this program stands for, by the name it was called by.
 *
 * `redoxa-cc`, `redoxa-c++` and `redoxa-rustc RUSTC` are wrappers by name; any other name but
 * `redoxa-run` is a masquerade: a link of that name, first on PATH, for the program of that name
 * further on. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CANNOT_EXECUTE = 126, NO_SUCH = 127, DEEPEST = 16 };
static const char trail[] = "REDOXA_WRAPPING"; /* how often this process became a compiler */

static const char *base_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_same_file(const char *path, const struct stat *one) {
    struct stat st;
    return !stat(path, &st) && st.st_dev == one->st_dev && st.st_ino == one->st_ino;
}

/* Whether a path leads to a wrapper of ours: this file, or another copy of it by its name. */
static bool is_wrapper(const char *path) {
    char real[PATH_MAX];
    struct stat self;
    if (!stat("/proc/self/exe", &self) && is_same_file(path, &self)) return true;
    return realpath(path, real) && !strncmp(base_of(real), "redoxa-", 7);
}

static bool is_program(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK) && !is_wrapper(path);
}

/* The first program of that name on PATH that is no wrapper; NULL where there is none. */
static char *find_real(const char *name) {
    char path[PATH_MAX], folder[PATH_MAX];
    const char *search = getenv("PATH");
    if (!search) search = "/usr/local/bin:/bin:/usr/bin";
    for (const char *at = search;; at++) {
        int length = (int)strcspn(at, ":");
        /* An absolute name, so that the compiler's own search for its parts cannot find us. */
        bool absolute = length && *at == '/';
        if (absolute) *folder = 0;
        else if (!getcwd(folder, sizeof folder)) *folder = 0;
        int made = snprintf(path, sizeof path, "%s%s%.*s/%s", folder, absolute || !length ? "" : "/",
                            length, at, name);
        if (made > 0 && made < PATH_MAX && path[0] == '/' && is_program(path)) return strdup(path);
        at += length;
        if (!*at) return NULL;
    }
}

static _Noreturn void refuse(int code, const char *name, const char *why) {
    fprintf(stderr, "redoxa: %s: %s\n", name, why);
    exit(code);
}

/* A compiler that is a script which calls its wrapper again would go round for ever. */
static void count_rounds(const char *real) {
    const char *given = getenv(trail);
    int rounds = given ? atoi(given) : 0;
    char text[16];
    if (rounds >= DEEPEST)
        refuse(CANNOT_EXECUTE, real, "it calls its own wrapper again and again; name the compiler "
                                     "in it by its whole path, or take it off PATH");
    snprintf(text, sizeof text, "%d", rounds + 1);
    if (setenv(trail, text, 1)) leave_to_python();
}

static char *real_of(const char *name) {
    if (strchr(name, '/')) {
        if (is_wrapper(name)) refuse(CANNOT_EXECUTE, name, "it is the wrapper itself, and no compiler");
        return strdup(name);
    }
    char *real = find_real(name);
    if (!real)
        refuse(NO_SUCH, name, "there is no such program on PATH but this wrapper; install it, or "
                              "put its folder on PATH");
    return real;
}

/* Input comes from the standard input only where a word says so. What make gives its jobs there, an
 * empty pipe at one time and a terminal at another, would make equal calls differ. */
static bool may_read_input(char **words) {
    for (; *words; words++)
        if (!strcmp(*words, "-") || **words == '@' || strstr(*words, "/dev/stdin") ||
            strstr(*words, "/dev/fd/0") || strstr(*words, "/fd/0"))
            return true;
    return false;
}

static void close_input(void) {
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing > 0) dup2(nothing, 0), close(nothing);
}

/* A compiler that keeps a state of its own between its calls decides by itself what to do again. */
static bool keeps_state(char **words) {
    for (; *words; words++) {
        if (!strncmp(*words, "incremental=", 12) && words[-1] && !strcmp(words[-1], "-C")) return true;
        if (!strncmp(*words, "-Cincremental=", 14)) return true;
    }
    return false;
}

_Noreturn void run_plainly(char **command) {
    execv(*command, command);
    refuse(errno == ENOENT ? NO_SUCH : CANNOT_EXECUTE, *command, strerror(errno));
}

char **wrapped_command(int count, char **words) {
    if (count < 1) return NULL;
    const char *name = base_of(words[0]);
    if (!strncmp(name, "redoxa-run", 10)) return NULL;
    if (!strcmp(name, "redoxa-cc")) name = "cc";
    else if (!strcmp(name, "redoxa-c++")) name = "c++";
    else if (!strcmp(name, "redoxa-rustc")) {
        words++, count--;
        if (!count) refuse(NO_SUCH, "redoxa-rustc", "it is called as RUSTC_WRAPPER, with the compiler "
                                                    "before its words");
        name = words[0];
    }
    char **command = calloc((size_t)count + 2, sizeof *command);
    if (!command) leave_to_python();
    command++; /* keeps_state looks one word back */
    memcpy(command, words, (size_t)count * sizeof *command);
    command[0] = real_of(name);
    count_rounds(command[0]);
    if (!may_read_input(command)) close_input();
    if (keeps_state(command + 1)) run_plainly(command);
    return command;
}
