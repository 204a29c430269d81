/* The calls that name files. Each is brought to (folder, path, flags), then to one or two events.
 *
 * A call that is sure to fail changes nothing, so it is written down as what it is: a look-up.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define AT_EMPTY 0x1000
#define AT_NOFOLLOW 0x100
#define AT_FOLLOW 0x400
#define RENAME_KEEP 1u
#define RENAME_SWAP 2u

static struct event event_of(const struct request *r, enum event_kind kind, struct place *place,
                             uint32_t flags) {
    return (struct event){.kind = kind, .flags = flags, .pid = r->process->pid,
                          .program = r->process->exe, .path = place->word,
                          .before = place_before(place)};
}

static void tell(const struct request *r, enum event_kind kind, struct place *place,
                 uint32_t flags) {
    struct event event = event_of(r, kind, place, flags);
    stream_event(&event);
}

static void tell_look(const struct request *r, struct place *place, uint32_t flags) {
    place_seen(place);
    tell(r, EVENT_STAT, place, flags);
}

/* False where there is no link to be read. */
static bool tell_target(const struct request *r, struct place *place) {
    char target[PATH_ROOM], host[PATH_ROOM];
    if (!place->found || !S_ISLNK(place->st.st_mode)) return false;
    ssize_t length = readlink(place_host_path(r, place->word, host), target, sizeof target);
    if (length < 0) return false;
    struct event event = event_of(r, EVENT_READLINK, place, FLAG_NOFOLLOW);
    event.path2 = word_of(target, (size_t)length);
    stream_event(&event);
    return true;
}

/* A link that the run removes or replaces can be read no more when the run has ended. */
static void tell_last_target(const struct request *r, struct place *place) {
    if (!(place->word->flags & (WORD_LINK_TOLD | WORD_OURS))) tell_target(r, place);
}

/* From here on its content, or its absence, is the run's own doing. */
static void now_ours(struct word *word) {
    word->flags = (word->flags | WORD_OURS) & ~(uint32_t)(WORD_LINK_TOLD | WORD_FOLDER);
}

/* ---- open ---- */

static bool terminal_is_reachable(void) {
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void doubt_special(const struct request *r, const struct place *place) {
    static bool makes_terminals;
    const char *path = place->word->text;
    if (S_ISFIFO(place->st.st_mode) && !place->magic && !(place->word->flags & WORD_OURS))
        stream_doubt("outside-pipe", "%s is a pipe that others may write to", path);
    if (!S_ISCHR(place->st.st_mode)) return;
    if (!strcmp(path, "/dev/ptmx") || !strcmp(path, "/dev/pts/ptmx")) makes_terminals = true;
    /* In a session of its own the program's terminal is the one we relay. */
    if (!strcmp(path, "/dev/tty") && !own_session && terminal_is_reachable())
        stream_doubt("terminal-input", "%s opens /dev/tty", r->process->exe->text);
    if (!strncmp(path, "/dev/pts/", 9) && path[9] != 'p' && !own_session && !makes_terminals &&
        !place->magic)
        stream_doubt("terminal-input", "%s opens %s", r->process->exe->text, path);
}

static void doubt_foreign(const struct request *r, const struct place *place) {
    int pid, used = 0;
    char what[16] = "";
    if (strncmp(place->word->text, "/proc/", 6)) return;
    if (sscanf(place->word->text, "/proc/%d/%n%15[^/]", &pid, &used, what) < 2) return;
    if (process_is_inside(pid)) return;
    if (!strcmp(what, "mem") || !strcmp(what, "map_files"))
        stream_doubt("foreign-memory", "%s opens %s", r->process->exe->text, place->word->text);
    else if (!strcmp(what, "fd") || !strcmp(what, "root") || !strcmp(what, "cwd"))
        stream_doubt("foreign-descriptor", "%s opens %s", r->process->exe->text,
                     place->word->text);
}

static uint32_t open_flags(uint64_t flags) {
    uint32_t result = 0;
    if ((flags & O_ACCMODE) != O_WRONLY) result |= FLAG_READS;
    if (flags & O_TRUNC) result |= FLAG_TRUNCATE;
    if (flags & O_APPEND) result |= FLAG_APPEND;
    if (flags & O_CREAT) result |= FLAG_CREATE;
    if (flags & O_EXCL) result |= FLAG_EXCLUSIVE;
    if (flags & O_NOFOLLOW) result |= FLAG_NOFOLLOW;
    return result;
}

static void open_to_write(const struct request *r, struct place *place, uint64_t flags) {
    struct event event = event_of(r, EVENT_WRITE, place, open_flags(flags));
    event.preimage = preimage_for(r, place, !(flags & O_TRUNC));
    bool plain = !place->found || S_ISREG(place->st.st_mode);
    if (plain && !place->magic) now_ours(place->word);
    stream_event(&event);
}

static void on_open(const struct request *r, int dirfd, uint64_t address, uint64_t flags) {
    struct place place;
    bool sure = (flags & O_CREAT) && (flags & O_EXCL);
    bool follow = !(flags & O_NOFOLLOW) && !sure;
    if (!place_named(r, dirfd, address, follow ? PLACE_FOLLOW : 0, &place)) return;
    uint32_t nofollow = follow ? 0 : FLAG_NOFOLLOW;
    if (flags & O_PATH) {
        tell_look(r, &place, nofollow);
        return;
    }
    doubt_foreign(r, &place);
    if (place.found) doubt_special(r, &place);
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if (place.found && S_ISDIR(place.st.st_mode)) {
        if ((flags & O_TMPFILE) == O_TMPFILE && writes) tell(r, EVENT_WRITE, &place, FLAG_NAMELESS);
        else tell_look(r, &place, nofollow);
    } else if (!place.found && !(flags & O_CREAT)) {
        tell(r, EVENT_READ, &place, nofollow);
    } else if (place.found && sure) {
        tell_look(r, &place, FLAG_NOFOLLOW);
    } else if (writes || !place.found) {
        open_to_write(r, &place, flags);
    } else {
        place_seen(&place);
        tell(r, EVENT_READ, &place, nofollow);
    }
}

static void on_openat2(const struct request *r) {
    struct open_how how = {0};
    size_t size = r->arg[3] < sizeof how ? r->arg[3] : sizeof how;
    if (tracee_read(r, r->arg[2], &how, size) != (ssize_t)size) return;
    /* A call that must stay below a folder may fail where ours succeeds: one look-up too many. */
    on_open(r, (int)r->arg[0], r->arg[1], how.flags);
}

/* ---- looking ---- */

static void on_look(const struct request *r, int dirfd, uint64_t address, int how) {
    struct place place;
    if (!place_named(r, dirfd, address, how, &place)) return;
    tell_look(r, &place, how & PLACE_FOLLOW ? 0 : FLAG_NOFOLLOW);
}

static int how_of(uint64_t flags) {
    return ((flags & AT_NOFOLLOW) ? 0 : PLACE_FOLLOW) | ((flags & AT_EMPTY) ? PLACE_EMPTY : 0);
}

static void on_readlink(const struct request *r, int dirfd, uint64_t address) {
    struct place place;
    if (!place_named(r, dirfd, address, PLACE_EMPTY, &place)) return;
    if (!tell_target(r, &place)) tell_look(r, &place, FLAG_NOFOLLOW);
}

static void on_list(const struct request *r) {
    static struct word *last;
    static pid_t last_pid;
    static uint64_t last_count;
    struct place place;
    if (!place_of_fd(r, (int)r->arg[0], &place)) return;
    /* One listing takes several calls: one event says it, unless something came between. */
    if (place.word == last && r->process->pid == last_pid && stream_events() == last_count) return;
    tell(r, EVENT_LIST, &place, 0);
    last = place.word;
    last_pid = r->process->pid;
    last_count = stream_events();
}

static void on_chdir(const struct request *r) {
    struct place place;
    working_folder_moves(r->tid);
    if (place_named(r, AT_FDCWD, r->arg[0], PLACE_FOLLOW, &place)) tell(r, EVENT_CHDIR, &place, 0);
}

/* ---- changing names ---- */

static void on_rename(const struct request *r, int from_fd, uint64_t from, int to_fd, uint64_t to,
                      uint64_t flags) {
    struct place old, new;
    if (!place_named(r, from_fd, from, 0, &old) || !place_named(r, to_fd, to, 0, &new)) return;
    bool swap = flags & RENAME_SWAP;
    if (!old.found || (swap && !new.found) || ((flags & RENAME_KEEP) && new.found)) {
        tell_look(r, &old, FLAG_NOFOLLOW);
        tell_look(r, &new, FLAG_NOFOLLOW);
        return;
    }
    tell_last_target(r, &old);
    tell_last_target(r, &new);
    struct event event = event_of(r, EVENT_RENAME, &old, swap ? FLAG_EXCHANGE : 0);
    event.path2 = new.word;
    event.before2 = place_before(&new);
    if (S_ISDIR(old.st.st_mode)) preimages_below(r, old.word, new.word);
    if (swap && S_ISDIR(new.st.st_mode)) preimages_below(r, new.word, old.word);
    event.preimage = preimage_for(r, &old, true);
    event.preimage2 = preimage_for(r, &new, swap);
    now_ours(old.word);
    now_ours(new.word);
    if (!S_ISREG(old.st.st_mode) || (swap && !S_ISREG(new.st.st_mode))) paths_moved();
    stream_event(&event);
}

static void on_remove(const struct request *r, int dirfd, uint64_t address, bool folder) {
    struct place place;
    if (!place_named(r, dirfd, address, 0, &place)) return;
    if (!place.found || folder != S_ISDIR(place.st.st_mode)) {
        tell_look(r, &place, FLAG_NOFOLLOW);
        return;
    }
    tell_last_target(r, &place);
    struct event event = event_of(r, folder ? EVENT_RMDIR : EVENT_UNLINK, &place, 0);
    event.preimage = preimage_for(r, &place, false);
    now_ours(place.word);
    if (folder) working_folders_moved();
    stream_event(&event);
}

static void on_make(const struct request *r, int dirfd, uint64_t address, enum event_kind kind) {
    struct place place;
    if (!place_named(r, dirfd, address, 0, &place)) return;
    if (place.found) {
        tell_look(r, &place, FLAG_NOFOLLOW);
        return;
    }
    now_ours(place.word);
    tell(r, kind, &place, 0);
}

static void on_symlink(const struct request *r, uint64_t target, int dirfd, uint64_t address) {
    struct place place;
    char text[PATH_ROOM];
    ssize_t length = tracee_string(r, target, text, sizeof text);
    if (length < 0 || !place_named(r, dirfd, address, 0, &place)) return;
    if (place.found) {
        tell_look(r, &place, FLAG_NOFOLLOW);
        return;
    }
    now_ours(place.word);
    struct event event = event_of(r, EVENT_SYMLINK, &place, 0);
    event.path2 = word_of(text, (size_t)length);
    stream_event(&event);
}

static void on_link(const struct request *r, int from_fd, uint64_t from, int to_fd, uint64_t to,
                    uint64_t flags) {
    struct place old, new;
    int how = ((flags & AT_FOLLOW) ? PLACE_FOLLOW : 0) | ((flags & AT_EMPTY) ? PLACE_EMPTY : 0);
    if (!place_named(r, from_fd, from, how, &old) || !place_named(r, to_fd, to, 0, &new)) return;
    if (!old.found || new.found) {
        tell_look(r, &old, FLAG_NOFOLLOW);
        tell_look(r, &new, FLAG_NOFOLLOW);
        return;
    }
    struct event event = event_of(r, EVENT_LINK, &old, 0);
    event.path2 = new.word;
    event.preimage = old.magic ? 0 : preimage_for(r, &old, true);
    now_ours(new.word);
    stream_event(&event);
}

/* ---- changing contents and metadata by name ---- */

static void change_metadata(const struct request *r, struct place *place, uint32_t what) {
    if (!place->found) {
        tell(r, EVENT_STAT, place, 0);
        return;
    }
    struct event event = event_of(r, EVENT_METADATA, place, what);
    event.preimage = place->magic ? 0 : preimage_for(r, place, false);
    stream_event(&event);
}

static void on_metadata(const struct request *r, int dirfd, uint64_t address, int how,
                        uint32_t what) {
    struct place place;
    if (!place_named(r, dirfd, address, how, &place)) return;
    change_metadata(r, &place, what | (how & PLACE_FOLLOW ? 0 : FLAG_NOFOLLOW));
}

static void on_fd_metadata(const struct request *r, uint32_t what) {
    struct place place;
    if (place_of_fd(r, (int)r->arg[0], &place)) change_metadata(r, &place, what);
}

static void on_truncate(const struct request *r) {
    struct place place;
    if (!place_named(r, AT_FDCWD, r->arg[0], PLACE_FOLLOW, &place)) return;
    if (!place.found) {
        tell(r, EVENT_STAT, &place, 0);
        return;
    }
    struct event event = event_of(r, EVENT_TRUNCATE, &place, 0);
    event.preimage = preimage_for(r, &place, r->arg[1] != 0);
    now_ours(place.word);
    stream_event(&event);
}

/* ---- which call is which ---- */

#define HERE AT_FDCWD
#define ARG(n) (r->arg[n])
#define DIR(n) ((int)r->arg[n])

static bool by_old_call(const struct request *r) {
#ifdef SYS_open
    switch (r->number) {
    case SYS_open: return on_open(r, HERE, ARG(0), ARG(1)), true;
    case SYS_creat: return on_open(r, HERE, ARG(0), O_CREAT | O_WRONLY | O_TRUNC), true;
    case SYS_stat:
    case SYS_access: return on_look(r, HERE, ARG(0), PLACE_FOLLOW), true;
    case SYS_lstat: return on_look(r, HERE, ARG(0), 0), true;
    case SYS_readlink: return on_readlink(r, HERE, ARG(0)), true;
    case SYS_getdents: return on_list(r), true;
    case SYS_rename: return on_rename(r, HERE, ARG(0), HERE, ARG(1), 0), true;
    case SYS_unlink: return on_remove(r, HERE, ARG(0), false), true;
    case SYS_rmdir: return on_remove(r, HERE, ARG(0), true), true;
    case SYS_mkdir: return on_make(r, HERE, ARG(0), EVENT_MKDIR), true;
    case SYS_mknod: return on_make(r, HERE, ARG(0), EVENT_MKNOD), true;
    case SYS_link: return on_link(r, HERE, ARG(0), HERE, ARG(1), 0), true;
    case SYS_symlink: return on_symlink(r, ARG(0), HERE, ARG(1)), true;
    case SYS_chmod: return on_metadata(r, HERE, ARG(0), PLACE_FOLLOW, FLAG_MODE), true;
    case SYS_chown: return on_metadata(r, HERE, ARG(0), PLACE_FOLLOW, FLAG_OWNER), true;
    case SYS_lchown: return on_metadata(r, HERE, ARG(0), 0, FLAG_OWNER), true;
    case SYS_utime:
    case SYS_utimes: return on_metadata(r, HERE, ARG(0), PLACE_FOLLOW, FLAG_TIMES), true;
    case SYS_futimesat: return on_metadata(r, DIR(0), ARG(1), PLACE_FOLLOW | PLACE_EMPTY, FLAG_TIMES), true;
    default: return false;
    }
#else
    (void)r;
    return false;
#endif
}

/* Numbers newer than the headers a builder may have; they are the same on every architecture. */
enum { NR_fchmodat2 = 452, NR_setxattrat = 463, NR_getxattrat, NR_listxattrat, NR_removexattrat,
       NR_file_getattr = 468, NR_file_setattr };

static bool by_attribute_call(const struct request *r) {
    switch (r->number) {
    case SYS_getxattr:
    case SYS_listxattr: return on_look(r, HERE, ARG(0), PLACE_FOLLOW), true;
    case SYS_lgetxattr:
    case SYS_llistxattr: return on_look(r, HERE, ARG(0), 0), true;
    case NR_getxattrat:
    case NR_listxattrat: return on_look(r, DIR(0), ARG(1), how_of(ARG(2))), true;
    case NR_file_getattr: return on_look(r, DIR(0), ARG(1), how_of(ARG(4))), true;
    case SYS_setxattr:
    case SYS_removexattr: return on_metadata(r, HERE, ARG(0), PLACE_FOLLOW, FLAG_XATTR), true;
    case SYS_lsetxattr:
    case SYS_lremovexattr: return on_metadata(r, HERE, ARG(0), 0, FLAG_XATTR), true;
    case NR_setxattrat:
    case NR_removexattrat: return on_metadata(r, DIR(0), ARG(1), how_of(ARG(2)), FLAG_XATTR), true;
    case NR_file_setattr: return on_metadata(r, DIR(0), ARG(1), how_of(ARG(4)), FLAG_XATTR), true;
    case SYS_fsetxattr:
    case SYS_fremovexattr: return on_fd_metadata(r, FLAG_XATTR), true;
    case SYS_fchmod: return on_fd_metadata(r, FLAG_MODE), true;
    case SYS_fchown: return on_fd_metadata(r, FLAG_OWNER), true;
    case SYS_fchmodat: return on_metadata(r, DIR(0), ARG(1), PLACE_FOLLOW, FLAG_MODE), true;
    case NR_fchmodat2: return on_metadata(r, DIR(0), ARG(1), how_of(ARG(3)), FLAG_MODE), true;
    case SYS_fchownat: return on_metadata(r, DIR(0), ARG(1), how_of(ARG(4)), FLAG_OWNER), true;
    case SYS_utimensat: /* without a path it means the descriptor */
        return on_metadata(r, DIR(0), ARG(1), how_of(ARG(3)) | PLACE_EMPTY, FLAG_TIMES), true;
    default: return false;
    }
}

void on_file_call(struct request *r) {
    if (by_old_call(r) || by_attribute_call(r)) return;
    switch (r->number) {
    case SYS_openat: on_open(r, DIR(0), ARG(1), ARG(2)); break;
    case SYS_openat2: on_openat2(r); break;
#ifdef SYS_newfstatat
    case SYS_newfstatat: on_look(r, DIR(0), ARG(1), how_of(ARG(3))); break;
#endif
    case SYS_statx: on_look(r, DIR(0), ARG(1), how_of(ARG(2))); break;
    case SYS_statfs: on_look(r, HERE, ARG(0), PLACE_FOLLOW); break;
    case SYS_faccessat: on_look(r, DIR(0), ARG(1), PLACE_FOLLOW); break;
    case SYS_faccessat2: on_look(r, DIR(0), ARG(1), how_of(ARG(3))); break;
    case SYS_name_to_handle_at:
        on_look(r, DIR(0), ARG(1), (ARG(4) & AT_FOLLOW ? PLACE_FOLLOW : 0) | PLACE_EMPTY);
        break;
    case SYS_inotify_add_watch: on_look(r, HERE, ARG(1), PLACE_FOLLOW); break;
    case SYS_readlinkat: on_readlink(r, DIR(0), ARG(1)); break;
    case SYS_getdents64: on_list(r); break;
    case SYS_chdir: on_chdir(r); break;
    case SYS_fchdir: working_folder_moves(r->tid); break;
#ifdef SYS_renameat
    case SYS_renameat: on_rename(r, DIR(0), ARG(1), DIR(2), ARG(3), 0); break;
#endif
    case SYS_renameat2: on_rename(r, DIR(0), ARG(1), DIR(2), ARG(3), ARG(4)); break;
    case SYS_unlinkat: on_remove(r, DIR(0), ARG(1), (ARG(2) & AT_REMOVEDIR) != 0); break;
    case SYS_mkdirat: on_make(r, DIR(0), ARG(1), EVENT_MKDIR); break;
    case SYS_mknodat: on_make(r, DIR(0), ARG(1), EVENT_MKNOD); break;
    case SYS_linkat: on_link(r, DIR(0), ARG(1), DIR(2), ARG(3), ARG(4)); break;
    case SYS_symlinkat: on_symlink(r, ARG(0), DIR(1), ARG(2)); break;
    case SYS_truncate: on_truncate(r); break;
    default: on_unknown(r); break;
    }
}
