/* Calls that reach past files: sockets, other processes, the machine itself. */
#include "trace.h"

#include <arpa/inet.h>
#include <asm/unistd.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGES_MAX 64

static const char *who(const struct request *r) { return r->process->exe->text; }

static void tell_address(const struct request *r, enum event_kind kind, struct word *path,
                         const struct stat *before) {
    struct event event = {.kind = kind, .pid = r->process->pid, .program = r->process->exe,
                          .path = path, .before = before};
    stream_event(&event);
}

/* ---- sockets ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    char bytes[sizeof(struct sockaddr_storage)];
};

static int socket_option(const struct request *r, int option) {
    int fd = tracee_descriptor(r, (int)r->arg[0]), value = -1;
    socklen_t size = sizeof value;
    if (fd < 0) return -1;
    if (getsockopt(fd, SOL_SOCKET, option, &value, &size)) value = -1;
    close(fd);
    return value;
}

static void on_local(const struct request *r, const union address *address, size_t length,
                     enum event_kind kind) {
    size_t room = length - offsetof(struct sockaddr_un, sun_path);
    char name[PATH_ROOM];
    if (length <= offsetof(struct sockaddr_un, sun_path)) return; /* unnamed */
    if (address->local.sun_path[0] == 0) {
        name[0] = '@';
        memcpy(name + 1, address->local.sun_path + 1, room - 1);
        struct word *word = word_of(name, room);
        if (kind == EVENT_BIND) word->flags |= WORD_OURS;
        else if (!(word->flags & WORD_OURS))
            stream_doubt("outside-server", "%s connects to the socket %s", who(r), word->text);
        tell_address(r, kind, word, NULL);
        return;
    }
    size_t at = 0;
    size_t named = strnlen(address->local.sun_path, room);
    if (address->local.sun_path[0] != '/') {
        ssize_t base = tracee_link(r->tid, "cwd", name, sizeof name - sizeof *address);
        if (base < 0 || !request_is_live(r)) return;
        at = (size_t)base;
        name[at++] = '/';
    }
    memcpy(name + at, address->local.sun_path, named);
    name[at + named] = 0;
    struct place place;
    place_of_text(r, name, kind == EVENT_BIND ? 0 : PLACE_FOLLOW, &place);
    if (kind == EVENT_BIND && !place.found) place.word->flags |= WORD_OURS;
    if (kind == EVENT_CONNECT && place.found && !(place.word->flags & WORD_OURS))
        stream_doubt("outside-server", "%s connects to %s", who(r), place.word->text);
    tell_address(r, kind, place.word, place_before(&place));
}

static void on_internet(const struct request *r, const union address *address,
                        enum event_kind kind) {
    char host[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 32];
    bool six = address->any.sa_family == AF_INET6;
    const void *bytes = six ? (const void *)&address->v6.sin6_addr
                            : (const void *)&address->v4.sin_addr;
    inet_ntop(address->any.sa_family, bytes, host, sizeof host);
    snprintf(text, sizeof text, six ? "inet6:[%s]:%u" : "inet:%s:%u", host,
             ntohs(six ? address->v6.sin6_port : address->v4.sin_port));
    tell_address(r, kind, word_of(text, strlen(text)), NULL);
    /* Binding a stream socket alone moves no byte; libraries do it to see whether IPv6 is there. */
    if (kind == EVENT_BIND && socket_option(r, SO_TYPE) == SOCK_STREAM) return;
    stream_doubt("network", "%s %s %s", who(r), kind == EVENT_BIND ? "listens at" : "speaks to",
                 text);
}

static void on_destination(const struct request *r, uint64_t at, uint64_t length,
                           enum event_kind kind) {
    union address address = {0};
    if (!at || length < sizeof(sa_family_t)) return;
    if (length > sizeof address) length = sizeof address;
    if (tracee_read(r, at, &address, length) != (ssize_t)length || !request_is_live(r)) return;
    switch (address.any.sa_family) {
    case AF_UNSPEC: break; /* takes an earlier address back */
    case AF_UNIX: on_local(r, &address, length, kind); break;
    case AF_INET:
    case AF_INET6: on_internet(r, &address, kind); break;
    case 38: break; /* AF_ALG: the kernel's ciphers, which only compute */
    default:
        stream_doubt("network", "%s uses an address of family %d", who(r), address.any.sa_family);
    }
}

void on_address(struct request *r) {
    if (r->number == __NR_sendto) on_destination(r, r->arg[4], r->arg[5], EVENT_CONNECT);
    else if (r->number == __NR_bind) on_destination(r, r->arg[1], r->arg[2], EVENT_BIND);
    else on_destination(r, r->arg[1], r->arg[2], EVENT_CONNECT);
}

void on_message(struct request *r) {
    bool many = r->number == __NR_sendmmsg;
    uint64_t count = many ? r->arg[2] : 1;
    if (count > MESSAGES_MAX) {
        stream_doubt("network", "%s sends more messages at once than are looked at", who(r));
        count = MESSAGES_MAX;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct mmsghdr message;
        size_t size = many ? sizeof message : sizeof message.msg_hdr;
        if (tracee_read(r, r->arg[1] + i * sizeof message, &message, size) != (ssize_t)size)
            return;
        on_destination(r, (uintptr_t)message.msg_hdr.msg_name, message.msg_hdr.msg_namelen,
                       EVENT_CONNECT);
    }
}

void on_listen(struct request *r) {
    int family = socket_option(r, SO_DOMAIN);
    if (family != AF_UNIX)
        stream_doubt("network", "%s listens for connections", who(r));
}

void on_socket(struct request *r) {
    stream_doubt("network", "%s opens a socket of family %d", who(r), (int)r->arg[0]);
}

/* ---- other processes ---- */

static pid_t pid_behind(const struct request *r, int pidfd) {
    char name[64], line[128];
    long pid = -1;
    snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", r->tid, pidfd);
    FILE *file = fopen(name, "re");
    if (!file) return -1;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "Pid:", 4)) pid = strtol(line + 4, NULL, 10);
    fclose(file);
    return (pid_t)pid;
}

void on_kill(struct request *r) {
    pid_t target = (pid_t)r->arg[0];
    if (r->number == __NR_pidfd_send_signal) target = pid_behind(r, (int)r->arg[0]);
    if (target == 0 || target == r->process->pid || target == r->tid) return;
    if (target < -1) {
        target = -target; /* a group is named after one of its processes */
        if (target == getpgrp()) return;
    }
    if (process_is_inside(target)) return;
    char name[64];
    snprintf(name, sizeof name, "/proc/%d", target);
    if (target != -1 && access(name, F_OK)) return; /* nobody is there to be reached */
    stream_doubt("outside-process", "%s signals process %d, which is not part of the run", who(r),
                 target);
}

void on_memory(struct request *r) {
    if (r->number == __NR_ptrace) {
        stream_doubt("ptrace", "%s traces another program", who(r));
        return;
    }
    bool by_fd = r->number == __NR_pidfd_getfd;
    pid_t target = by_fd ? pid_behind(r, (int)r->arg[0]) : (pid_t)r->arg[0];
    if (process_is_inside(target)) return;
    stream_doubt(by_fd ? "foreign-descriptor" : "foreign-memory",
                 "%s reaches into process %d, which is not part of the run", who(r), target);
}

/* ---- the machine ---- */

static const char *outside_kind(int number) {
    switch (number) {
    case __NR_clone:
    case __NR_unshare:
    case __NR_setns:
    case __NR_chroot:
    case __NR_pivot_root:
    case __NR_mount:
    case __NR_umount2:
    case __NR_fsopen:
    case __NR_fsconfig:
    case __NR_fsmount:
    case __NR_fspick:
    case __NR_move_mount:
    case __NR_open_tree:
    case __NR_mount_setattr:
    case 467: return "namespace"; /* open_tree_attr */
    case __NR_shmget:
    case __NR_msgget:
    case __NR_semget:
    case __NR_mq_open:
    case __NR_mq_unlink: return "shared-memory";
    case __NR_add_key:
    case __NR_request_key:
    case __NR_keyctl: return "keyring";
    case __NR_open_by_handle_at: return "file-handle";
    default: return "machine-state";
    }
}

void on_outside(struct request *r) {
    const char *kind = outside_kind(r->number);
    const char *does = !strcmp(kind, "namespace")       ? "changes what paths or ids mean"
                       : !strcmp(kind, "shared-memory") ? "shares memory or messages by a name"
                       : !strcmp(kind, "keyring")       ? "uses the kernel's keyring"
                       : !strcmp(kind, "file-handle")   ? "opens a file by handle"
                                                        : "reads or sets the machine's state";
    stream_doubt(kind, "%s %s (call %d)", who(r), does, r->number);
}

void on_unknown(struct request *r) {
    stream_doubt("unknown-call", "%s makes call %d, which this recorder does not know", who(r),
                 r->number);
}

void on_foreign_abi(struct request *r) {
    stream_doubt("foreign-abi", "%s makes calls of another architecture, which are not followed",
                 who(r));
}
