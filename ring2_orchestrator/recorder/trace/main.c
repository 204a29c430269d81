/* redoxa-trace CONTROL_FD[,PRESENCE_FD] OPTIONS SCRATCH CWD PREIMAGE_LIMIT COMMAND [ARGS...]
 *
 * Runs COMMAND in CWD with our own standard streams and environment, recorded into SCRATCH/events;
 * old contents go to SCRATCH/pre/. PRESENCE_FD is held open, by us alone, until the last process of
 * the run has ended. OPTIONS are letters: s (a session of its own, with the terminal
 * among its streams as its controlling one), u (do not trace), 0 1 2 (that stream is closed).
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
bool own_session;

#ifndef SOURCE_DIGEST
#define SOURCE_DIGEST "unknown"
#endif
/* Found in the binary by whoever must know which sources it was made from; part of a text that is
 * printed, so that no linker drops it. */
static const char usage[] =
    "usage: redoxa-trace CONTROL[,PRESENCE] OPTIONS SCRATCH CWD LIMIT COMMAND...\n"
    "made from the sources named " SOURCE_DIGEST "\n";

static const char *options;
static sigset_t given_mask;
static struct sigaction given_action; /* of SIGCHLD */
static int handshake[2], consent[2], exec_error[2];

noreturn void fail(const char *what) {
    fprintf(stderr, "redoxa-trace: %s (%s)\n", what, strerror(errno));
    exit(125);
}

void *must_allocate(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (!memory) fail("out of memory");
    return memory;
}

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool option(char letter) { return strchr(options, letter) != NULL; }

/* ---- in the child, until the program takes over ---- */

noreturn static void give_up(void) {
    int error = errno;
    if (write(exec_error[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
}

/* A file without a header is a shell script, as every shell treats it. */
static void execute_by_shell(const char *path, char **command) {
    size_t count = 0;
    while (command[count]) count++;
    char **words = must_allocate(NULL, (count + 2) * sizeof *words);
    words[0] = (char *)"/bin/sh";
    words[1] = (char *)path;
    for (size_t i = 1; i <= count; i++) words[i + 1] = command[i];
    execve(words[0], words, environ);
}

static void execute_at(const char *path, char **command) {
    execve(path, command, environ);
    if (errno == ENOEXEC) execute_by_shell(path, command);
}

/* The search along PATH happens under the filter: what was not found there is an input, too. */
noreturn static void execute(char **command) {
    char path[PATH_ROOM];
    const char *search = getenv("PATH");
    bool denied = false;
    if (strchr(command[0], '/')) {
        execute_at(command[0], command);
        give_up();
    }
    if (!search) search = "/usr/local/bin:/bin:/usr/bin";
    for (const char *at = search;; at++) {
        size_t length = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s%s%s", (int)length, at, length ? "/" : "", command[0]);
        execute_at(path, command);
        if (errno == EACCES) denied = true;
        else if (errno != ENOENT && errno != ENOTDIR) give_up();
        at += length;
        if (!*at) break;
    }
    errno = denied ? EACCES : ENOENT;
    give_up();
}

static void take_terminal(void) {
    setsid();
    for (int fd = 0; fd < 3; fd++)
        if (isatty(fd) && !ioctl(fd, TIOCSCTTY, 0)) return;
}

/* Variables of the dynamic loader came under another name, so that they did not load into us. */
static void restore_environment(void) {
    static const char prefix[] = "REDOXA_KEPT_";
    for (char **each = environ; *each; each++)
        if (!strncmp(*each, prefix, sizeof prefix - 1)) *each += sizeof prefix - 1;
}

noreturn static void become(char **command, const char *cwd, bool traced) {
    restore_environment();
    if (option('s')) take_terminal();
    for (int fd = 0; fd < 3; fd++)
        if (option((char)('0' + fd))) close(fd);
    if (chdir(cwd)) give_up();
    if (traced) {
        char go;
        int listener = filter_install();
        int said = listener < 0 ? -errno : listener;
        /* From here every listed call waits for the parent, which first needs the listener. */
        if (write(handshake[1], &said, sizeof said) != sizeof said || listener < 0) _exit(125);
        if (read(consent[0], &go, 1) != 1) _exit(125);
        close(listener);
    }
    sigaction(SIGCHLD, &given_action, NULL);
    sigprocmask(SIG_SETMASK, &given_mask, NULL);
    execute(command);
}

/* ---- in the parent ---- */

static void make_pipes(void) {
    if (pipe2(handshake, O_CLOEXEC) || pipe2(consent, O_CLOEXEC) ||
        pipe2(exec_error, O_CLOEXEC | O_NONBLOCK))
        fail("no pipes");
}

static void close_pipes(void) {
    close(handshake[0]);
    close(consent[1]);
    close(consent[0]);
}

/* The listener of a child that just filtered itself, or -1: then it has ended again. */
static int fetch_listener(pid_t child) {
    int number = -1, listener = -1;
    close(handshake[1]);
    if (read(handshake[0], &number, sizeof number) == sizeof number && number >= 0) {
        int pidfd = (int)syscall(SYS_pidfd_open, (long)child, 0L);
        if (pidfd >= 0) listener = (int)syscall(SYS_pidfd_getfd, (long)pidfd, (long)number, 0L);
        if (pidfd >= 0) close(pidfd);
    } else if (number < 0) {
        errno = -number;
    }
    if (listener < 0) {
        int error = errno;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        errno = error;
        return -1;
    }
    if (write(consent[1], "g", 1) != 1) fail("the program cannot be started");
    return listener;
}

static pid_t spawn(char **command, const char *cwd, bool traced) {
    make_pipes();
    pid_t child = fork();
    if (child < 0) fail("no new process");
    if (child == 0) become(command, cwd, traced);
    close(exec_error[1]);
    return child;
}

static void let_go_of_streams(void) {
    /* Whoever reads the program's output must see its end when the program's own copies close. */
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    inherited_close();
}

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
    char path[PATH_ROOM], folder[PATH_ROOM];
    if (argc < 7) {
        fputs(usage, stderr);
        return 125;
    }
    struct supervision supervision = {.control = atoi(argv[1])};
    options = argv[2];
    own_session = option('s');
    snprintf(path, sizeof path, "%s/events", argv[3]);
    snprintf(folder, sizeof folder, "%s/pre", argv[3]);
    const char *presence = strchr(argv[1], ',');
    fcntl(supervision.control, F_SETFD, FD_CLOEXEC);
    if (presence) fcntl(atoi(presence + 1), F_SETFD, FD_CLOEXEC);
    stream_open(path);
    inherited_find(supervision.control);
    preimages_open(folder, strtoull(argv[5], NULL, 10));
    processes_open();
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, &given_mask);
    /* Were it ignored, no child could be waited for. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &given_action);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

    bool traced = !option('u');
    supervision.program = spawn(argv + 6, argv[4], traced);
    if (traced && (listener_fd = fetch_listener(supervision.program)) < 0) {
        stream_doubt("not-traced", "calls cannot be stopped here (%s)", strerror(errno));
        close_pipes();
        supervision.program = spawn(argv + 6, argv[4], false);
    } else if (!traced) {
        stream_doubt("not-traced", "the recording was asked not to trace");
    }
    close_pipes();
    supervision.exec_error_fd = exec_error[0];
    let_go_of_streams();
    raise_descriptor_limit();
    supervise(&supervision);
}
