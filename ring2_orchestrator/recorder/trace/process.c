/* Who is who: threads to processes, processes to programs, and what each of them cost. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREAD_SLOTS 8192u

static struct process *processes; /* the living first; the dead are freed when noticed */
static struct {
    pid_t tid;
    uint32_t folder_moves; /* how many there had been when `folder` was asked for */
    struct process *process;
    struct word *folder; /* where its relative paths begin, or NULL */
} threads[THREAD_SLOTS]; /* a direct-mapped cache: a collision only costs a look into /proc */
static int poll_fd = -1;

void processes_open(void) { poll_fd = epoll_create1(EPOLL_CLOEXEC); }

int processes_poll_fd(void) { return poll_fd; }

/* Plain calls: a buffered file asks twice as many, and this is asked about each process. */
static char *status_text(pid_t tid, char *room, size_t size) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/status", tid);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    ssize_t length = read(file, room, size - 1); /* one reading gives all that it shows */
    close(file);
    room[length > 0 ? length : 0] = 0;
    return room;
}

static long status_number(const char *status, const char *key) {
    const char *found = status ? strstr(status, key) : NULL;
    return found ? strtol(found + strlen(key), NULL, 10) : -1;
}

static struct process *process_numbered(pid_t pid) {
    for (struct process *process = processes; process; process = process->next)
        if (process->pid == pid) return process;
    return NULL;
}

static struct word *link_word(pid_t pid, const char *entry) {
    char text[PATH_ROOM];
    ssize_t length = tracee_link(pid, entry, text, sizeof text);
    return length < 0 ? word_of("", 0) : word_of(text, (size_t)length);
}

static struct word *command_line(pid_t pid) {
    char name[64], text[65536];
    snprintf(name, sizeof name, "/proc/%d/cmdline", pid);
    FILE *file = fopen(name, "re");
    if (!file) return word_of("", 0);
    size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    return word_of(text, length);
}

/* What `linux/pidfd.h` of Linux 6.13 calls pidfd_info, in its first size. */
struct parentage {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, unused[9];
};
#define ASK_PARENTAGE _IOWR(0xFF, 11, struct parentage)

static int process_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, (long)pid, 0L); }

/* The parent, without a look into /proc; -1 where the kernel is too old to say. */
static pid_t parent_of(int pidfd) {
    struct parentage told = {.mask = 1};
    return ioctl(pidfd, ASK_PARENTAGE, &told) ? -1 : (pid_t)told.ppid;
}

static struct process *process_begin(pid_t pid, pid_t ppid, int pidfd) {
    struct process *process = must_allocate(NULL, sizeof *process);
    *process = (struct process){.pid = pid, .ppid = ppid, .pidfd = pidfd, .memory = -1, .next = processes};
    process->exe = link_word(pid, "exe");
    struct process *parent = process_numbered(ppid);
    process->argv = parent && parent->exe == process->exe ? parent->argv : command_line(pid);
    if (process->pidfd >= 0) {
        struct epoll_event watch = {.events = EPOLLIN, .data.ptr = process};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, process->pidfd, &watch);
    }
    processes = process;
    stream_started(pid, ppid, process->exe, process->argv);
    return process;
}

static uint64_t cpu_ns_of(pid_t pid) {
    struct timespec time;
    /* As clock_getcpuclockid makes it, which asks the kernel first whether there is such a process. */
    clockid_t clock = (clockid_t)(~(unsigned)pid << 3 | 2);
    if (clock_gettime(clock, &time)) return 0;
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void forget(struct process *process) {
    size_t slot = (size_t)process->pid % THREAD_SLOTS; /* mostly its only one */
    for (size_t i = 0; process->cached && i < THREAD_SLOTS; i++, slot = (slot + 1) % THREAD_SLOTS)
        if (threads[slot].process == process) {
            threads[slot].process = NULL;
            process->cached--;
        }
    for (struct process **at = &processes; *at; at = &(*at)->next)
        if (*at == process) {
            *at = process->next;
            break;
        }
    if (process->pidfd >= 0) close(process->pidfd);
    memory_close(process);
    free(process);
}

void processes_reap(void) {
    struct epoll_event ready[64];
    int count = epoll_wait(poll_fd, ready, 64, 0);
    for (int i = 0; i < count; i++) {
        struct process *process = ready[i].data.ptr;
        /* One that was killed never said goodbye: its clock still answers until it is reaped. */
        if (!process->ended) stream_ended(process->pid, -1, cpu_ns_of(process->pid), 0);
        forget(process);
    }
}

static bool has_died(const struct process *process) {
    return process->pidfd < 0 ||
           syscall(SYS_pidfd_send_signal, (long)process->pidfd, 0L, NULL, 0L) != 0;
}

static struct process *look_up(pid_t tid) {
    char room[4096];
    tracee_by_number();
    pid_t pid = tid;
    int pidfd = process_open(tid); /* of a process' first thread alone */
    pid_t ppid = pidfd < 0 ? -1 : parent_of(pidfd);
    if (ppid < 0) {
        char *status = status_text(tid, room, sizeof room);
        pid = (pid_t)status_number(status, "\nTgid:");
        if (pid <= 0) pid = tid;
        ppid = (pid_t)status_number(status, "\nPPid:");
    }
    struct process *process = process_numbered(pid);
    if (process && process->ended && has_died(process)) {
        forget(process);
        process = NULL;
    }
    if (!process) return process_begin(pid, ppid, pidfd < 0 ? process_open(pid) : pidfd);
    if (pidfd >= 0) close(pidfd);
    return process;
}

/* After an exec was let through, the next call shows what the process has become. */
static void settle_exec(struct process *process) {
    struct word *exe = link_word(process->pid, "exe");
    bool expected = exe == process->expected[0] || exe == process->expected[1];
    if (!expected && exe != process->exe) {
        /* The kernel ran something else than the file looked at: a registered interpreter. */
        struct stat st;
        struct event event = {.kind = EVENT_EXEC, .flags = FLAG_KERNEL, .pid = process->pid,
                              .program = exe, .path = exe,
                              .before = stat(exe->text, &st) ? NULL : &st};
        stream_event(&event);
        expected = true;
    }
    if (expected) {
        process->exe = exe;
        process->argv = process->pending_argv;
        stream_executed(process->pid, exe, process->argv);
    }
    process->pending_argv = NULL;
}

/* ---- working folders ---- */

#define MOVING_MAX 16

/* A folder is asked for once, and again when any thread has gone elsewhere (they may share it) or a
 * folder on the way may have moved. */
static uint32_t folder_moves = 1;
static pid_t moving[MOVING_MAX]; /* let through, and perhaps not yet there */
static size_t moving_count;

void working_folders_moved(void) { folder_moves++; }

void working_folder_moves(pid_t tid) {
    /* With more of them at once nothing is remembered any more, which only costs time. */
    if (moving_count <= MOVING_MAX) moving_count++;
    if (moving_count <= MOVING_MAX) moving[moving_count - 1] = tid;
}

/* Its next call shows that the one before has taken effect. */
static void settle_folder(pid_t tid) {
    if (moving_count > MOVING_MAX) return;
    for (size_t i = moving_count; i-- > 0;)
        if (moving[i] == tid) {
            moving[i] = moving[--moving_count];
            folder_moves++;
        }
}

struct word *working_folder(pid_t tid) {
    char text[PATH_ROOM];
    size_t slot = (size_t)tid % THREAD_SLOTS;
    bool mine = threads[slot].tid == tid && threads[slot].process && !moving_count;
    if (mine && threads[slot].folder && threads[slot].folder_moves == folder_moves)
        return threads[slot].folder;
    ssize_t length = tracee_link(tid, "cwd", text, sizeof text);
    if (length < 0) return NULL;
    struct word *folder = word_of(text, (size_t)length);
    threads[slot].folder = mine ? folder : NULL;
    threads[slot].folder_moves = folder_moves;
    return folder;
}

struct process *process_of(pid_t tid) {
    size_t slot = (size_t)tid % THREAD_SLOTS;
    struct process *process = threads[slot].tid == tid ? threads[slot].process : NULL;
    if (!process || process->ended) {
        process = look_up(tid);
        threads[slot].folder = NULL;
    }
    if (threads[slot].process) threads[slot].process->cached--;
    threads[slot].tid = tid;
    threads[slot].process = process;
    process->cached++;
    if (process->pending_argv) settle_exec(process);
    if (moving_count) settle_folder(tid);
    return process;
}

void thread_ends(pid_t tid) {
    size_t slot = (size_t)tid % THREAD_SLOTS;
    if (threads[slot].tid != tid || !threads[slot].process) return;
    threads[slot].process->cached--;
    threads[slot].process = NULL;
}

void process_ends(const struct request *request) {
    struct process *process = request->process;
    if (process->ended) return;
    char room[4096];
    long peak_kb = status_number(status_text(process->pid, room, sizeof room), "\nVmHWM:");
    int code = (int)(request->arg[0] & 0xff); /* as much of it as a parent is told */
    uint64_t peak_bytes = peak_kb > 0 ? (uint64_t)peak_kb * 1024 : 0;
    stream_ended(process->pid, code, cpu_ns_of(process->pid), peak_bytes);
    process->ended = true;
}

bool process_is_inside(pid_t pid) {
    /* A forked child that has made no call yet is known only to /proc. */
    pid_t self = getpid();
    char room[4096];
    for (int depth = 0; pid > 1 && depth < 100000; depth++) {
        if (pid == self || process_numbered(pid)) return true;
        char *status = status_text(pid, room, sizeof room);
        pid_t leader = (pid_t)status_number(status, "\nTgid:");
        pid = leader != pid ? leader : (pid_t)status_number(status, "\nPPid:");
    }
    return false;
}

void processes_signal(int number) {
    for (struct process *process = processes; process; process = process->next)
        if (process->pidfd >= 0)
            syscall(SYS_pidfd_send_signal, (long)process->pidfd, (long)number, NULL, 0L);
}

bool process_is_known(pid_t pid) {
    const struct process *process = process_numbered(pid);
    return process && process->pidfd >= 0;
}
