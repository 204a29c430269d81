/* The loop: answer stopped calls, reap processes, obey whoever asked for the recording.
 *
 * Messages on the control socket are 12 bytes: a tag and two numbers. To the recorder's caller:
 * X (the program ended: code, signal), E (it could not be executed: errno), D (done: the stream is
 * complete). From it: G (send the program a signal), A (send it to all processes of the run), K (kill
 * everything), L (leave: the caller goes; descriptors that come along are pairs to keep copying
 * between).
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS _IOW('!', 4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#define COPIES_MAX 4

int listener_fd = -1;
static struct supervision *now;
static bool program_ended, killing;
static struct {
    int from, to;
} copies[COPIES_MAX];
static size_t copy_count;

struct message {
    int32_t tag, first, second;
};

static void say(char tag, int first, int second) {
    struct message message = {tag, first, second};
    if (now->control >= 0) send(now->control, &message, sizeof message, MSG_NOSIGNAL);
}

/* ---- what is waited for ---- */

enum watched { CHILDREN, CONTROL, PROCESSES, COPY, WATCHED };

static int watcher = -1;

static void watch(int fd, enum watched what) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)fd * WATCHED + what};
    if (fd >= 0) epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event);
}

/* Before it is closed: another process may hold the same open file, and it would be waited for still. */
static void watch_no_more(int fd) { epoll_ctl(watcher, EPOLL_CTL_DEL, fd, NULL); }

/* ---- children ---- */

/* The known ones, and the children: who is in neither was orphaned into them when its parent died. */
static void signal_all(int number) {
    char name[64], list[65536];
    snprintf(name, sizeof name, "/proc/self/task/%d/children", getpid());
    processes_signal(number);
    FILE *file = fopen(name, "re");
    if (!file) return;
    size_t length = fread(list, 1, sizeof list - 1, file);
    fclose(file);
    list[length] = 0;
    for (char *at = list, *end; (end = at, strtol(at, &end, 10)) && end != at; at = end)
        if (!process_is_known((pid_t)strtol(at, NULL, 10)))
            kill((pid_t)strtol(at, NULL, 10), number);
}

static void on_program_end(int status) {
    int error = 0;
    program_ended = true;
    if (read(now->exec_error_fd, &error, sizeof error) == sizeof error) {
        say('E', error, 0);
        return;
    }
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    stream_exit(code, signal);
    say('X', code, signal);
}

noreturn static void finish(void) {
    processes_reap();
    stream_close();
    say('D', 0, 0);
    exit(0);
}

/* True when no descendant is left. */
static bool reap(void) {
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0) return errno == ECHILD;
        if (pid == 0) return false;
        if (pid == now->program) on_program_end(status);
        if (killing) signal_all(SIGKILL);
    }
}

/* ---- stopped calls ---- */

static struct seccomp_notif *notice;
static struct seccomp_notif_resp *reply;
static struct seccomp_notif_sizes sizes;

static void prepare_notices(void) {
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes)) fail("no notification sizes");
    if (sizes.seccomp_notif < sizeof *notice) sizes.seccomp_notif = sizeof *notice;
    if (sizes.seccomp_notif_resp < sizeof *reply) sizes.seccomp_notif_resp = sizeof *reply;
    notice = must_allocate(NULL, sizes.seccomp_notif);
    reply = must_allocate(NULL, sizes.seccomp_notif_resp);
    /* Without it every stop pays for waking another processor; older kernels lack it. */
    ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

static void look(void) {
    struct request request = {.id = notice->id, .tid = (pid_t)notice->pid,
                              .number = notice->data.nr, .arch = notice->data.arch};
    memcpy(request.arg, notice->data.args, sizeof request.arg);
    tracee_begin();
    request.process = process_of(request.tid);
    on_call(&request);
}

static void answer_one(void) {
    memset(notice, 0, sizes.seccomp_notif);
    if (ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_RECV, notice)) return; /* it was killed meanwhile */
    if (stream_is_open()) look();
    if (killing) kill((pid_t)notice->pid, SIGKILL);
    memset(reply, 0, sizes.seccomp_notif_resp);
    reply->id = notice->id;
    reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ioctl(listener_fd, SECCOMP_IOCTL_NOTIF_SEND, reply);
}

/* ---- the caller ---- */

static void leave(const int *fds, size_t count) {
    stream_doubt("detached", "%s ended, and processes it started live on",
                 program_ended ? "the program" : "the recording");
    stream_close();
    say('D', 0, 0);
    watch_no_more(now->control);
    close(now->control);
    now->control = -1;
    for (size_t i = 0; i + 1 < count && copy_count < COPIES_MAX; i += 2) {
        copies[copy_count].from = fds[i];
        copies[copy_count++].to = fds[i + 1];
        watch(fds[i], COPY);
    }
}

static void obey(void) {
    struct message message = {0};
    union {
        char room[CMSG_SPACE(2 * COPIES_MAX * sizeof(int))];
        struct cmsghdr align;
    } extra;
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room,
                            .msg_controllen = sizeof extra.room};
    ssize_t got = recvmsg(now->control, &header, MSG_CMSG_CLOEXEC);
    if (got != sizeof message) {
        if (got < 0 && errno == EINTR) return;
        leave(NULL, 0); /* the caller is gone: the program must not suffer from that */
        return;
    }
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    size_t count = item ? (item->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    switch (message.tag) {
    case 'G':
        if (!program_ended) kill(now->program, message.first);
        break;
    case 'A': signal_all(message.first); break;
    case 'K':
        killing = true;
        signal_all(SIGKILL);
        break;
    case 'L': leave(item ? (int *)CMSG_DATA(item) : NULL, count); break;
    default: break;
    }
}

static void copy_on(int from) {
    char block[65536];
    size_t at = 0;
    while (at < copy_count && copies[at].from != from) at++;
    if (at == copy_count) return;
    ssize_t got = read(copies[at].from, block, sizeof block);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    for (ssize_t done = 0; done < got;) {
        ssize_t wrote = write(copies[at].to, block + done, (size_t)(got - done));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && errno == EAGAIN) {
            struct pollfd ready = {copies[at].to, POLLOUT, 0};
            poll(&ready, 1, -1);
            continue;
        }
        if (wrote <= 0) got = 0; /* the reader is gone: so must the writer learn */
        done += wrote;
    }
    if (got > 0) return;
    watch_no_more(copies[at].from);
    close(copies[at].from);
    close(copies[at].to);
    copies[at] = copies[--copy_count];
}

/* ---- the loop ---- */

static int child_signals(void) {
    static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN,
                                  SIGTTOU, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void answer_others(int children) {
    struct epoll_event ready[COPY + COPIES_MAX];
    uint32_t seen[COPY] = {0};
    int count = epoll_wait(watcher, ready, COPY + COPIES_MAX, 0);
    for (int i = 0; i < count; i++)
        if (ready[i].data.u64 % WATCHED < COPY) seen[ready[i].data.u64 % WATCHED] = ready[i].events;
    if (seen[PROCESSES]) processes_reap();
    if (seen[CHILDREN]) {
        struct signalfd_siginfo info;
        while (read(children, &info, sizeof info) > 0) continue;
        if (reap()) finish();
    }
    if (seen[CONTROL]) obey();
    for (int i = 0; i < count; i++)
        if (ready[i].data.u64 % WATCHED == COPY) copy_on((int)(ready[i].data.u64 / WATCHED));
}

noreturn void supervise(struct supervision *supervision) {
    now = supervision;
    watcher = epoll_create1(EPOLL_CLOEXEC);
    if (watcher < 0) fail("no epoll");
    int children = child_signals();
    if (listener_fd >= 0) prepare_notices();
    watch(children, CHILDREN);
    watch(now->control, CONTROL);
    watch(processes_poll_fd(), PROCESSES);
    for (;;) {
        /* The listener is asked itself: a wake-up that comes through an epoll forgets that it should
         * stay on the caller's processor, and waking an idle one takes longer than all the rest. */
        struct pollfd any[] = {{listener_fd, POLLIN, 0}, {watcher, POLLIN, 0}};
        if (poll(any, 2, -1) < 0) continue;
        /* Ends before calls: a number may already belong to another process. */
        if (any[1].revents) answer_others(children);
        if (any[0].revents & POLLIN) answer_one();
        else if (any[0].revents) listener_fd = -1;
    }
}
