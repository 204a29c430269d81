/* A compiler that was not answered, run recorded: the recorder's helper is our child and the compiler
 * the helper's, here where it was called. What it printed and how it ended is ours to hand on; what
 * is made of the recording is the keeper's work. Whatever becomes of the keeper, the compiler ends as
 * it would have, and so do we. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ANSWER_MS = 3000, KEPT_MS = 30000, GRACE_MS = 250, LEAVE_MS = 10000, CANNOT_RUN = 125 };
enum { MOST_PRINTED = 16 << 20 };
/* Why the recording is not to be kept, as docs/formats/home.md numbers it. */
enum doubt { TOO_MUCH = 1, READER_GONE, OUTPUT_LOST, SIGNALLED };

struct message { /* as the recorder's helper speaks (recorder/trace/supervise.c) */
    int32_t tag, first, second;
};

static int control;
static volatile sig_atomic_t interrupted;
static void (*pipes)(int); /* what a pipe without readers did before */
static const int passed_on[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCONT, SIGINT, SIGQUIT};

struct course { /* of the call */
    struct channel channels[2];
    size_t count;
    struct bytes cuts, printed, doubts;
    int code, number, error; /* how the program ended: its exit code, its signal, why it never ran */
    bool ended, done, left, cut;
};

/* ---- signals: those sent to us are the program's ---- */

static bool has_foreground(void) {
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    bool ours = fd >= 0 && tcgetpgrp(fd) == getpgrp();
    if (fd >= 0) close(fd);
    return ours;
}

static void pass_on(int number) {
    int error = errno;
    struct message message = {'G', number, 0};
    if (number != SIGCONT) interrupted = number;
    /* Keys have reached the program already, which is of our terminal's foreground group. */
    bool typed = (number == SIGINT || number == SIGQUIT) && has_foreground();
    if (!typed) send(control, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    errno = error;
}

static void catch_signals(void) {
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++) {
        struct sigaction old, ours = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
        sigaction(passed_on[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) sigaction(passed_on[i], &ours, NULL);
    }
    pipes = signal(SIGPIPE, SIG_IGN); /* a reader that left is noted, and the program told */
}

/* ---- the helper ---- */

/* Variables of the dynamic loader are meant for the program: the helper gives them their names back. */
static char **environment(void) {
    static const char kept[] = "REDOXA_KEPT_";
    size_t count = 0;
    while (environ[count]) count++;
    char **all = calloc(count + 1, sizeof *all);
    for (size_t i = 0; all && i < count; i++) {
        all[i] = environ[i];
        if (strncmp(all[i], "LD_", 3)) continue;
        all[i] = malloc(sizeof kept + strlen(environ[i]));
        if (!all[i]) return NULL;
        strcpy(all[i], kept), strcat(all[i], environ[i]);
    }
    return all;
}

struct helper { /* how the keeper wants it started */
    const char *path, *scratch, *limit;
};

static _Noreturn void become_helper(const struct helper *helper, char **words, char **env,
                                    const struct course *course, int theirs, int presence) {
    dup2(course->channels[0].child, 1);
    dup2(course->channels[course->count - 1].child, 2);
    fcntl(theirs, F_SETFD, 0), fcntl(presence, F_SETFD, 0);
    execve(helper->path, words, env);
    _exit(CANNOT_RUN);
}

/* The helper's words; NULL where there are none. */
static char **helper_words(const struct helper *helper, char **command, int theirs, int presence) {
    static char numbers[32], folder[PATH_MAX];
    size_t count = 0;
    while (command[count]) count++;
    char **words = calloc(count + 7, sizeof *words);
    if (!words || !getcwd(folder, sizeof folder) || folder[0] != '/') return NULL;
    snprintf(numbers, sizeof numbers, "%d,%d", theirs, presence);
    words[0] = (char *)helper->path, words[1] = numbers, words[2] = (char *)"-";
    words[3] = (char *)helper->scratch, words[4] = folder, words[5] = (char *)helper->limit;
    memcpy(words + 6, command, count * sizeof *words);
    return words;
}

static bool start_helper(const struct helper *helper, char **command, struct course *course,
                         int presence, pid_t *pid) {
    int ends[2];
    course->count = one_file(1, 2) ? 1 : 2;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) return false;
    for (size_t i = 0; i < course->count; i++)
        if (!open_channel((int)i + 1, &course->channels[i])) return false;
    char **words = helper_words(helper, command, ends[1], presence), **env = environment();
    *pid = words && env ? fork() : -1;
    if (*pid == 0) become_helper(helper, words, env, course, ends[1], presence);
    control = ends[0];
    close(ends[1]), close(presence);
    for (size_t i = 0; i < course->count; i++) close(course->channels[i].child);
    return *pid > 0;
}

static void hear_helper(struct course *course) {
    struct message message;
    ssize_t got = recv(control, &message, sizeof message, 0);
    if (got < 0 && errno == EINTR) return;
    if (got != sizeof message) course->done = true;
    else if (message.tag == 'X')
        course->ended = true, course->code = message.first, course->number = message.second;
    else if (message.tag == 'E') course->ended = true, course->error = message.first;
    else if (message.tag == 'D') course->done = true;
}

/* ---- what it prints ---- */

static void add_doubt(struct course *course, enum doubt kind, int first, int second) {
    add_number(&course->doubts, kind, 1);
    add_number(&course->doubts, (uint64_t)first, 4);
    add_number(&course->doubts, (uint64_t)second, 4);
}

/* Why not all was written; 0 where it was. */
static int write_all(int fd, const unsigned char *data, size_t length) {
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EAGAIN) poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (done < 0 && errno != EINTR) return errno;
        if (done > 0) data += done, length -= (size_t)done;
    }
    return 0;
}

static void shut(struct channel *channel) {
    close(channel->from);
    channel->from = -1;
}

static void hand_on(struct course *course, struct channel *channel) {
    unsigned char block[65536];
    ssize_t got = read(channel->from, block, sizeof block);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) { /* a terminal ends with an error */
        shut(channel);
        return;
    }
    if (course->printed.length + (size_t)got <= MOST_PRINTED)
        keep_printed(&course->cuts, &course->printed, channel->stream, block, (size_t)got);
    else if (!course->cut) course->cut = true, add_doubt(course, TOO_MUCH, MOST_PRINTED, 0);
    int error = write_all(channel->stream, block, (size_t)got);
    if (!error) return;
    /* With our end closed the program learns of it much as it would without us. */
    bool gone = error == EPIPE || error == EIO || error == ECONNRESET;
    add_doubt(course, gone ? READER_GONE : OUTPUT_LOST, channel->stream, error);
    shut(channel);
}

/* What is still on the way when nobody is left to write more. */
static void drain(struct course *course) {
    for (size_t i = 0; i < course->count; i++) {
        struct pollfd ready = {.fd = course->channels[i].from, .events = POLLIN};
        while (ready.fd >= 0 && poll(&ready, 1, 0) > 0) {
            hand_on(course, &course->channels[i]);
            ready.fd = course->channels[i].from;
        }
    }
}

/* Some of its processes live on. The helper goes on copying for them. */
static void leave_them(struct course *course) {
    struct message message = {'L', 0, 0};
    union {
        char room[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } extra = {{0}};
    struct iovec part = {&message, sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    int pairs[4];
    size_t count = 0;
    for (size_t i = 0; i < course->count; i++) {
        if (course->channels[i].from < 0) continue;
        pairs[count++] = course->channels[i].from, pairs[count++] = course->channels[i].stream;
    }
    if (count) {
        header.msg_control = extra.room, header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(item), pairs, count * sizeof(int));
    }
    if (sendmsg(control, &header, MSG_NOSIGNAL) != sizeof message) return;
    struct pollfd waits = {.fd = control, .events = POLLIN};
    course->left = true;
    while (!course->done && poll(&waits, 1, LEAVE_MS) > 0) hear_helper(course);
}

static int left_ms(uint64_t since) {
    int64_t left = GRACE_MS - ((int64_t)clock_of(CLOCK_MONOTONIC) - (int64_t)since) / 1000000;
    return left < 0 ? 0 : (int)left;
}

static void follow(struct course *course) {
    uint64_t ended = 0;
    while (!course->done) {
        struct pollfd waits[3] = {{.fd = control, .events = POLLIN}};
        for (size_t i = 0; i < course->count; i++)
            waits[i + 1] = (struct pollfd){.fd = course->channels[i].from, .events = POLLIN};
        if (course->ended && !ended) ended = clock_of(CLOCK_MONOTONIC);
        int wait = ended ? left_ms(ended) : -1;
        if (wait == 0) {
            leave_them(course);
            return;
        }
        if (poll(waits, course->count + 1, wait) < 0) continue;
        for (size_t i = 0; i < course->count; i++)
            if (waits[i + 1].revents) hand_on(course, &course->channels[i]);
        if (waits[0].revents) hear_helper(course);
    }
    drain(course);
}

/* ---- the call ---- */

/* What the keeper must know before it lets it begin; the folder by more than its name. */
static bool describe(struct bytes *call, char **command) {
    struct stat here;
    if (stat(".", &here)) return false;
    add(call, "RXCALL01", 8);
    add_number(call, here.st_dev, 8), add_number(call, here.st_ino, 8);
    return add_surroundings(call, command);
}

/* The helper's path, the scratch folder and the limit of old contents, each with a zero behind. */
static bool understand(char *text, size_t length, struct helper *helper) {
    const char **parts[] = {&helper->path, &helper->scratch, &helper->limit};
    char *end = text + length;
    for (size_t i = 0; i < 3; i++) {
        *parts[i] = text;
        text = memchr(text, 0, (size_t)(end - text));
        if (!text++) return false;
    }
    return text == end && helper->path[0] == '/' && helper->scratch[0] == '/';
}

static void report(const struct keeper *keeper, struct course *course, uint64_t wall_ns) {
    struct bytes told = {0};
    char answer[16];
    int descriptor;
    if (interrupted) add_doubt(course, SIGNALLED, (int)interrupted, 0);
    add(&told, "RXTOLD01", 8);
    add_number(&told, wall_ns, 8);
    add_number(&told, course->ended, 1);
    add_number(&told, (uint64_t)course->code, 4), add_number(&told, (uint64_t)course->number, 4);
    add_measured(&told, &course->doubts);
    add_measured(&told, &course->cuts);
    add_measured(&told, &course->printed);
    /* It reads what the compiler left, so nobody may go on before it has. */
    if (tell_keeper(keeper, 'E', &told)) hear_keeper(keeper, answer, sizeof answer, &descriptor, KEPT_MS);
}

/* The program's own, unless what it printed went nowhere: that it cannot know. */
static int exit_code(const struct course *course) {
    struct reader doubts = {course->doubts.data, course->doubts.data + course->doubts.length, false};
    int code = course->number ? 128 + course->number : course->code;
    while (doubts.at < doubts.end) {
        uint64_t kind = take(&doubts, 1);
        take(&doubts, 8);
        if (!code && kind == OUTPUT_LOST) code = CANNOT_RUN;
    }
    return code;
}

void run_with_keeper(const char *home, const unsigned char key[KEY_BYTES], char **command) {
    static char text[3 * PATH_MAX];
    struct keeper keeper;
    struct helper helper;
    struct course course = {0};
    struct bytes call = {0};
    int presence = -1;
    pid_t pid = -1;
    if (!input_is_empty() || !describe(&call, command) || !meet_keeper(home, key, &keeper)) return;
    ssize_t length = -1;
    if (tell_keeper(&keeper, 'B', &call))
        length = hear_keeper(&keeper, text, sizeof text, &presence, ANSWER_MS);
    uint64_t begun = clock_of(CLOCK_MONOTONIC);
    if (length < 2 || text[0] != 'R' || presence < 0 ||
        !understand(text + 1, (size_t)length - 1, &helper) ||
        !start_helper(&helper, command, &course, presence, &pid)) {
        close(keeper.fd);
        return;
    }
    catch_signals();
    no_way_back();
    follow(&course);
    uint64_t wall_ns = clock_of(CLOCK_MONOTONIC) - begun;
    if (!course.left) waitpid(pid, NULL, 0);
    if (course.error) {
        close(keeper.fd);
        signal(SIGPIPE, pipes);
        run_plainly(command); /* it cannot be started: so says the system, in its own words */
    }
    if (!course.ended) {
        fprintf(stderr, "redoxa: the recorder's helper ended before the program did, so the program was "
                        "stopped; run it again, or without recording\n");
        exit(CANNOT_RUN);
    }
    report(&keeper, &course, wall_ns);
    exit(exit_code(&course));
}
