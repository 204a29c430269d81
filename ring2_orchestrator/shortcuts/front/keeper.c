/* The way to a build's keeper: a process that has Python loaded, and does the bookkeeping of calls
 * that were not answered (docs/formats/home.md, "keepers").
 *
 * Its name is of all that makes one process more confined than another. Who cannot look into the
 * keeper is not let in by it: so nobody gets anything done by it that he could not do himself. */
#include "front.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { GREETING_MS = 3000, TRIES = 20, PAUSE_US = 5000, AT_REST_S = 10, NONCE_BYTES = 16, WAITING = 128 };

static unsigned char nonce[NONCE_BYTES]; /* of the keeper's, which only who may look into it can read */

static void add_file(struct bytes *to, const char *path) {
    char text[8192];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    add_number(to, length > 0 ? (uint64_t)length : 0, 4);
    if (length > 0) add(to, text, (size_t)length);
}

static void add_rights(struct bytes *to) {
    static const char *const names[] = {"Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp"};
    char line[4096];
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strncmp(line, names[i], strlen(names[i]))) add(to, line, strlen(line));
    if (status) fclose(status);
}

/* All that may confine this process, and which Redoxa it belongs to. */
static bool add_circle(struct bytes *to) {
    static const char *const spaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    char path[PATH_MAX], text[256];
    struct stat root;
    if (!find_python(path) || stat("/", &root)) return false;
    add(to, source_digest, strlen(source_digest) + 1);
    add(to, path, strlen(path) + 1);
    add_text(to, "session=%d root=%llu:%llu\n", getsid(0), (unsigned long long)root.st_dev,
             (unsigned long long)root.st_ino);
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", spaces[i]);
        ssize_t length = readlink(path, text, sizeof text);
        if (length > 0) add(to, text, (size_t)length);
    }
    add_rights(to);
    add_file(to, "/proc/self/cgroup");
    add_file(to, "/proc/self/attr/current");
    return true;
}

static bool find_name(const unsigned char key[KEY_BYTES], char name[2 * DIGEST_BYTES + 1]) {
    struct bytes text = {0};
    unsigned char digest[DIGEST_BYTES];
    if (!add_circle(&text)) return false;
    keyed_digest(key, text.data, text.length, digest);
    for (int i = 0; i < DIGEST_BYTES; i++) sprintf(name + 2 * i, "%02x", digest[i]);
    return true;
}

static int open_folder(const char *home) {
    char path[PATH_MAX];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/keepers", home) >= (int)sizeof path) return -1;
    mkdir(path, 0700);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder >= 0 && !fstat(folder, &st) && st.st_uid == geteuid() && !(st.st_mode & 077))
        return folder;
    if (folder >= 0) close(folder);
    return -1;
}

/* The path of a home may be longer than an address. */
static struct sockaddr_un address_of(int folder, const char *name, const char *ending) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s%s", folder, name, ending);
    return address;
}

static int new_socket(int flags) { return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0); }

static bool reach(int folder, const char *name, struct keeper *keeper) {
    struct sockaddr_un address = address_of(folder, name, "");
    struct ucred peer;
    socklen_t size = sizeof peer;
    keeper->fd = new_socket(SOCK_NONBLOCK);
    if (keeper->fd >= 0 && !connect(keeper->fd, (struct sockaddr *)&address, sizeof address) &&
        !getsockopt(keeper->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid())
        return true;
    int error = errno;
    if (keeper->fd >= 0) close(keeper->fd);
    errno = error;
    return false;
}

/* ---- starting one ---- */

static _Noreturn void become_keeper(int listener, int lock, const char *home, const char *name) {
    static char *const environment[] = {(char *)"PATH=/usr/bin:/bin", NULL};
    char path[PATH_MAX];
    char *words[] = {path, (char *)"run", (char *)"--keeper", (char *)"--", (char *)home, (char *)name,
                     NULL};
    sigset_t none;
    /* What is typed at the build's terminal is not meant for it. */
    setpgid(0, 0);
    for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(077);
    int nothing = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 5);
    listener = fcntl(listener, F_DUPFD, 5), lock = fcntl(lock, F_DUPFD, 5);
    for (int fd = 0; fd < 3; fd++) dup2(nothing, fd);
    /* The build must not wait for a pipe of its own that stands open here. */
    if (dup2(listener, 3) == 3 && dup2(lock, 4) == 4 && !syscall(SYS_close_range, 5U, ~0U, 0U) &&
        !chdir("/") && find_python(path))
        execve(path, words, environment);
    _exit(1);
}

static int listen_at(int folder, const char *name) {
    char first[64];
    struct sockaddr_un address = address_of(folder, name, ".new");
    int listener = new_socket(0);
    snprintf(first, sizeof first, "%s.new", name);
    unlinkat(folder, first, 0);
    if (listener >= 0 && !bind(listener, (struct sockaddr *)&address, sizeof address) &&
        !listen(listener, WAITING) && !renameat(folder, first, folder, name))
        return listener;
    if (listener >= 0) close(listener);
    return -1;
}

/* Who holds the lock is the keeper, or is just starting one. */
static int take_lock(int folder, const char *name) {
    char file[64];
    struct stat held, named;
    snprintf(file, sizeof file, "%s.lock", name);
    int lock = openat(folder, file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock >= 0 && !flock(lock, LOCK_EX | LOCK_NB) && !fstat(lock, &held) &&
        !fstatat(folder, file, &named, AT_SYMLINK_NOFOLLOW) && held.st_ino == named.st_ino)
        return lock;
    if (lock >= 0) close(lock);
    return -1;
}

static bool start(int folder, const char *home, const char *name) {
    int lock = take_lock(folder, name), listener = lock < 0 ? -1 : listen_at(folder, name);
    pid_t child = listener < 0 ? -1 : fork();
    if (child == 0) become_keeper(listener, lock, home, name);
    if (listener >= 0) close(listener);
    if (lock >= 0) close(lock);
    return child > 0;
}

/* One that cannot be started is not tried again by each call of a build. */
static bool failed_lately(int folder, const char *name) {
    char file[64];
    struct stat st;
    snprintf(file, sizeof file, "%s.no", name);
    return !fstatat(folder, file, &st, AT_SYMLINK_NOFOLLOW) &&
           time(NULL) - st.st_mtime < AT_REST_S && st.st_mtime <= time(NULL);
}

static void note_failure(int folder, const char *name) {
    char file[64];
    snprintf(file, sizeof file, "%s.no", name);
    int fd = openat(folder, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) futimens(fd, NULL), close(fd);
}

/* ---- speaking with it ---- */

/* To open a descriptor of another process is for who may trace it. Each of the two does so with the
 * other. So no sandbox, not even one that nothing tells of, has its work done by a keeper outside, and
 * nobody in one is taken for a keeper. */
static bool look_into(int pid, int descriptor) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, descriptor);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool done = fd >= 0 && pread(fd, nonce, sizeof nonce, 0) == (ssize_t)sizeof nonce;
    if (fd >= 0) close(fd);
    return done;
}

static int show_secret(unsigned char secret[NONCE_BYTES]) {
    int fd = memfd_create("redoxa", MFD_CLOEXEC);
    if (fd >= 0 && getrandom(secret, NONCE_BYTES, 0) == NONCE_BYTES &&
        write(fd, secret, NONCE_BYTES) == NONCE_BYTES)
        return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static bool is_greeted(struct keeper *keeper) {
    unsigned char text[64], secret[NONCE_BYTES];
    struct reader at = {text, text, false};
    struct bytes hello = {0};
    int descriptor, shown = show_secret(secret);
    if (shown < 0) return false;
    add(&hello, "H", 1), add_number(&hello, (uint64_t)shown, 4);
    if (send(keeper->fd, hello.data, hello.length, MSG_NOSIGNAL) != (ssize_t)hello.length) {
        close(shown);
        return false;
    }
    ssize_t length = hear_keeper(keeper, text, sizeof text, &descriptor, GREETING_MS);
    if (descriptor >= 0) close(descriptor);
    close(shown);
    at.end = text + (length > 0 ? length : 0);
    bool named = take(&at, 1) == 'K';
    /* The system would name whoever made the socket, which was the wrapper that started it. */
    int pid = (int)take(&at, 4), number = (int)take(&at, 4);
    const unsigned char *read = take_bytes(&at, NONCE_BYTES);
    return named && read && at.at == at.end && !memcmp(read, secret, NONCE_BYTES) &&
           look_into(pid, number);
}

bool meet_keeper(const char *home, const unsigned char key[KEY_BYTES], struct keeper *keeper) {
    char name[2 * DIGEST_BYTES + 1];
    bool greeted = false, started = false;
    int folder = home[0] == '/' && find_name(key, name) ? open_folder(home) : -1;
    *keeper = (struct keeper){.fd = -1};
    for (int i = 0; folder >= 0 && i < TRIES; i++) {
        if (reach(folder, name, keeper)) {
            greeted = is_greeted(keeper);
            if (!greeted) close(keeper->fd);
            break;
        }
        if ((errno != ENOENT && errno != ECONNREFUSED) || started || failed_lately(folder, name)) break;
        started = start(folder, home, name);
        if (!started) usleep(PAUSE_US); /* another call is about to */
    }
    if (started && !greeted) note_failure(folder, name);
    if (folder >= 0) close(folder);
    return greeted;
}

ssize_t hear_keeper(const struct keeper *keeper, void *text, size_t room, int *descriptor, int wait_ms) {
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } extra;
    struct iovec part = {text, room};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room,
                            .msg_controllen = sizeof extra.room};
    struct pollfd ready = {.fd = keeper->fd, .events = POLLIN};
    int64_t end = (int64_t)clock_of(CLOCK_MONOTONIC) / 1000000 + wait_ms, left = wait_ms;
    *descriptor = -1;
    while (poll(&ready, 1, (int)left) < 0 && errno == EINTR) {
        left = end - (int64_t)clock_of(CLOCK_MONOTONIC) / 1000000;
        if (left < 0) return -1;
    }
    ssize_t length = ready.revents ? recvmsg(keeper->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) : -1;
    struct cmsghdr *item = length > 0 ? CMSG_FIRSTHDR(&header) : NULL;
    if (item && item->cmsg_type == SCM_RIGHTS) memcpy(descriptor, CMSG_DATA(item), sizeof *descriptor);
    return length;
}

bool tell_keeper(const struct keeper *keeper, char letter, const struct bytes *bytes) {
    char text[1 + NONCE_BYTES] = {letter};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } extra = {{0}};
    struct iovec part = {text, sizeof text};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.room,
                            .msg_controllen = sizeof extra.room};
    int fd = memfd_create("redoxa", MFD_CLOEXEC);
    memcpy(text + 1, nonce, sizeof nonce);
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET, item->cmsg_type = SCM_RIGHTS, item->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(item), &fd, sizeof fd);
    bool done = fd >= 0;
    for (size_t at = 0; done && at < bytes->length;) {
        ssize_t wrote = write(fd, bytes->data + at, bytes->length - at);
        done = wrote > 0 || (wrote < 0 && errno == EINTR);
        if (wrote > 0) at += (size_t)wrote;
    }
    done = done && sendmsg(keeper->fd, &header, MSG_NOSIGNAL) == (ssize_t)sizeof text;
    if (fd >= 0) close(fd);
    return done;
}
