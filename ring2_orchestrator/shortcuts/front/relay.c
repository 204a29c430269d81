/* Runs a compiler as a child and hands on what it prints, so that it is known what that was. */
#include "front.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_PRINTED = 1 << 20 };

static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
static volatile pid_t compiler;

static void pass_on(int number) {
    if (compiler > 0) kill(compiler, number);
}

static void catch_signals(void) {
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        struct sigaction old, ours = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
        sigaction(passed_on[i], NULL, &old);
        if (old.sa_handler == SIG_DFL) sigaction(passed_on[i], &ours, NULL);
    }
}

static void become(char **command, const struct channel *channels, size_t count) {
    /* Whoever kills the wrapper means the compiler. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(channels[0].child, 1);
    dup2(channels[count - 1].child, 2);
    run_plainly(command);
}

static void keep(struct relayed *relayed, int stream, const unsigned char *data, size_t length) {
    if (relayed->printed.length + length > MOST_PRINTED) {
        relayed->lost = true;
        return;
    }
    keep_printed(&relayed->cuts, &relayed->printed, stream, data, length);
}

/* False when nothing more will come. */
static bool hand_on(const struct channel *channel, struct relayed *relayed) {
    unsigned char block[65536];
    ssize_t got = read(channel->from, block, sizeof block);
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false; /* a terminal ends with an error */
    print_all(channel->stream, block, (size_t)got);
    keep(relayed, channel->stream, block, (size_t)got);
    return true;
}

/* True when all is closed; false when the compiler has ended and another process can still print. */
static bool copy(struct channel *channels, size_t count, int process, struct relayed *relayed) {
    struct pollfd waits[3] = {{.fd = process, .events = POLLIN}};
    size_t left = count;
    for (size_t i = 0; i < count; i++)
        waits[i + 1] = (struct pollfd){.fd = channels[i].from, .events = POLLIN};
    while (left) {
        int ready = poll(waits, count + 1, waits[0].fd < 0 && process >= 0 ? 0 : -1);
        if (ready < 0 && errno != EINTR) return false;
        if (ready == 0) return false;
        if (ready < 0) continue;
        for (size_t i = 0; i < count; i++)
            if (waits[i + 1].revents && !hand_on(&channels[i], relayed)) waits[i + 1].fd = -1, left--;
        if (waits[0].revents) waits[0].fd = -1;
    }
    return true;
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    /* Whoever called us is to see the same end. */
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
    return 128 + WTERMSIG(status);
}

void relay(char **command, struct relayed *relayed) {
    struct channel channels[2];
    size_t count = one_file(1, 2) ? 1 : 2;
    for (size_t i = 0; i < count; i++)
        if (!open_channel((int)i + 1, &channels[i])) run_plainly(command);
    pid_t pid = fork();
    if (pid < 0) run_plainly(command);
    if (pid == 0) become(command, channels, count);
    compiler = pid;
    catch_signals();
    int process = (int)syscall(SYS_pidfd_open, (long)pid, 0L);
    for (size_t i = 0; i < count; i++) close(channels[i].child);
    relayed->pid = pid;
    bool closed = copy(channels, count, process, relayed);
    relayed->code = wait_for(pid);
    if (closed) return;
    relayed->lost = true;
    /* What it has left behind goes on printing, and its caller goes on. */
    if (fork() == 0) {
        copy(channels, count, -1, relayed);
        _exit(0);
    }
}
