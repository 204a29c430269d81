/* One program, many ways past a careless recorder: escapes NAME ARGS... Built statically, so that
 * nothing preloaded can see it. Every case prints what plain execution prints. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char **args;

static int show(int fd) {
    char block[4096];
    ssize_t got = fd < 0 ? -1 : read(fd, block, sizeof block);
    if (got < 0) return printf("%s\n", strerror(errno)), 1;
    return fwrite(block, 1, (size_t)got, stdout), 0;
}

static int wait_for(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* No libc at all: the bare instruction. */
static long bare(long number, long a, long b, long c, long d) {
#ifdef __x86_64__
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}

static int raw_open(void) { return show((int)bare(SYS_openat, AT_FDCWD, (long)args[0], O_RDONLY, 0)); }

static int vfork_exec(void) {
    pid_t pid = vfork();
    if (pid == 0) {
        execve(args[0], args, environ);
        _exit(99);
    }
    return wait_for(pid);
}

static int clone3_exec(void) {
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; }
        how = {.exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &how, sizeof how);
    if (pid == 0) {
        execve(args[0], args, environ);
        _exit(99);
    }
    return wait_for((pid_t)pid);
}

static int memfd_exec(void) {
    char block[65536];
    ssize_t got;
    int to = (int)syscall(SYS_memfd_create, "hidden", 0), from = open(args[0], O_RDONLY);
    while ((got = read(from, block, sizeof block)) > 0)
        if (write(to, block, (size_t)got) != got) return 1;
    syscall(SYS_execveat, to, "", args, environ, AT_EMPTY_PATH);
    return 1;
}

static void *open_many(void *argument) {
    char path[4096];
    for (int i = 0; i < 50; i++) {
        snprintf(path, sizeof path, "%s/%ld-%d", args[0], (long)(intptr_t)argument, i);
        close(open(path, O_RDONLY));
    }
    return NULL;
}

static int threads(void) {
    pthread_t all[8];
    for (long i = 0; i < 8; i++) pthread_create(&all[i], NULL, open_many, (void *)(intptr_t)i);
    for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
    return 0;
}

static int close_all(void) {
    for (int fd = 3; fd < 1024; fd++) close(fd);
    return show(open(args[0], O_RDONLY));
}

static int io_uring(void) {
    char parameters[256] = {0};
    long result = syscall(SYS_io_uring_setup, 4, parameters);
    return printf("%s\n", result < 0 ? strerror(errno) : "a ring"), 0;
}

/* A filter of its own that refuses uname; and then a listener of its own. */
static int own_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_uname, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, code};
    char name[1024];
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    long mine = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    printf("filter %ld, uname %ld\n", mine, syscall(SYS_uname, name));
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    printf("listener %s\n", listener >= 0 ? "given" : errno == EBUSY ? "busy" : strerror(errno));
    return show(open(args[0], O_RDONLY));
}

static int shared_write(void) {
    int fd = open(args[0], O_RDWR);
    char *text = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memcpy(text, "mmap", 4);
    return munmap(text, 4);
}

static int daemonise(void) {
    if (fork() == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        for (int i = 0; i < 200 && access(args[0], F_OK); i++) poll(NULL, 0, 20);
        int fd = open(args[1], O_WRONLY | O_CREAT, 0600);
        dprintf(fd, "lived on\n");
        printf("late words\n");
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    return puts("gone"), 0;
}

static int abstract(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0redoxa-test"};
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 12;
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (args[0] && (bind(server, (void *)&name, size) || listen(server, 1))) return 1;
    return printf("%d\n", connect(client, (void *)&name, size)), 0;
}

static int use_descriptor(void) {
    char letter;
    return printf("%zd\n", read(atoi(args[0]), &letter, 1)), 0;
}

static int trace_me(void) { return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0; }

static int fork_chain(void) {
    int depth = atoi(args[0]);
    for (int i = 0; i < depth; i++) {
        pid_t pid = fork();
        if (pid) return pid < 0 ? 99 : wait_for(pid);
    }
    return show(open(args[1], O_RDONLY));
}

static int many(void) {
    int count = atoi(args[0]);
    for (int i = 0; i < count; i++) {
        pid_t pid = vfork();
        if (pid == 0) _exit(i & 1);
        if (pid < 0 || wait_for(pid) != (i & 1)) return 1;
    }
    return 0;
}

static int kill_opening(void) {
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;) close(open(args[0], O_RDONLY));
        usleep((unsigned)(i * 37 % 2000));
        kill(pid, SIGKILL);
        if (wait_for(pid) != 128 + SIGKILL) return 1;
    }
    return 0;
}

static void on_alarm(int number) { (void)number; }

/* Signals that arrive while a call is stopped must not make it fail. */
static int interrupted(void) {
    struct itimerval often = {{0, 300}, {0, 300}};
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 3000; i++) {
        int fd = open(args[0], O_RDONLY);
        if (fd < 0) return printf("%s\n", strerror(errno)), 1;
        close(fd);
    }
    return 0;
}

static int deep_folders(void) {
    char name[256];
    memset(name, 'd', 255);
    name[255] = 0;
    for (int i = 0; i < 40; i++)
        if (mkdir(name, 0700) || chdir(name)) return printf("%d %s\n", i, strerror(errno)), 1;
    int fd = open("bottom", O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1) return 1;
    for (int i = 0; i < 40; i++)
        if (unlink("bottom") * 0 + chdir("..") || rmdir(name)) return printf("rm %d\n", i), 1;
    return 0;
}

static int limits(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    return printf("%llu %llu\n", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max), 0;
}

static int by_handle(void) {
    struct { struct file_handle head; char room[128]; } handle = {.head.handle_bytes = 128};
    int mount;
    if (name_to_handle_at(AT_FDCWD, args[0], &handle.head, &mount, 0)) return 1;
    return open_by_handle_at(AT_FDCWD, &handle.head, O_RDONLY) < 0;
}

static int unknown_call(void) { return printf("%ld\n", syscall(9999)), 0; }

static int other_abi(void) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); /* getpid for i386 */
    return printf("%d\n", result == getpid() || result == -ENOSYS), 0;
#else
    return puts("1"), 0;
#endif
}

static int namespace(void) { return unshare(CLONE_NEWUSER) * 0; }

static int send_descriptor(void) { /* within the run: no outsider takes part */
    int pair[2], fd = open(args[0], O_RDONLY);
    char byte = 'x';
    union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } extra = {{0}};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room, .msg_controllen = sizeof extra.room};
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    if (fork() == 0) {
        if (recvmsg(pair[1], &message, 0) != 1) _exit(1);
        _exit(show(*(int *)CMSG_DATA(CMSG_FIRSTHDR(&message))) + fflush(stdout));
    }
    struct cmsghdr *item = CMSG_FIRSTHDR(&message);
    *item = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(item), &fd, sizeof fd);
    sendmsg(pair[0], &message, 0);
    return wait_for(-1);
}

static const struct { const char *name; int (*run)(void); } cases[] = {
    {"raw-open", raw_open}, {"vfork-exec", vfork_exec}, {"clone3-exec", clone3_exec},
    {"memfd-exec", memfd_exec}, {"threads", threads}, {"close-all", close_all},
    {"io-uring", io_uring}, {"own-filter", own_filter}, {"shared-write", shared_write},
    {"daemon", daemonise}, {"abstract", abstract}, {"use-descriptor", use_descriptor},
    {"trace-me", trace_me}, {"fork-chain", fork_chain}, {"many", many},
    {"kill-opening", kill_opening}, {"interrupted", interrupted}, {"deep-folders", deep_folders},
    {"limits", limits}, {"by-handle", by_handle}, {"unknown-call", unknown_call},
    {"other-abi", other_abi}, {"namespace", namespace}, {"send-descriptor", send_descriptor},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(cases[i].name, argv[1])) {
            args = argv + 2;
            return cases[i].run();
        }
    return fprintf(stderr, "no such case\n"), 98;
}
