/* From the words of a call to the one canonical name: no link, no `.`, no `..` left in it.
 *
 * The walk goes folder by folder, as the kernel's does, but remembers which folders are real, so
 * that a path costs one lstat once its folder is known. Links passed on the way are written down:
 * whoever redirects one later changes what the run would read.
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40 /* the kernel's own limit */
#define NAME_MAX_BYTES 4096

static uint32_t generation = 1;

void paths_moved(void) {
    generation++;
    working_folders_moved();
}

const struct stat *place_before(const struct place *place) {
    return place->found ? &place->st : NULL;
}

/* "/proc/self" means the tracee's own; we have to say which that is. */
const char *place_host_path(const struct request *r, const struct word *word, char *room) {
    if (strncmp(word->text, "/proc/self", 10) || (word->text[10] && word->text[10] != '/'))
        return word->text;
    snprintf(room, PATH_ROOM, "/proc/%d%s", r->tid, word->text + 10);
    return room;
}

/* lstat or stat, also for a path longer than one call takes. */
static int examine(const char *path, struct stat *st, bool follow) {
    int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
    size_t length = strlen(path);
    if (length < NAME_MAX_BYTES) return fstatat(AT_FDCWD, path, st, flags);
    int folder = AT_FDCWD;
    while (length >= NAME_MAX_BYTES) {
        char part[NAME_MAX_BYTES];
        size_t cut = NAME_MAX_BYTES - 1;
        while (cut && path[cut] != '/') cut--;
        if (!cut) {
            errno = ENAMETOOLONG;
            break;
        }
        memcpy(part, path, cut);
        part[cut] = 0;
        int next = openat(folder, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder >= 0) close(folder);
        if (next < 0) return -1;
        folder = next;
        path += cut + 1;
        length -= cut + 1;
    }
    int result = length < NAME_MAX_BYTES ? fstatat(folder, path, st, flags) : -1;
    int kept = errno;
    if (folder >= 0) close(folder);
    errno = kept;
    return result;
}

struct walk {
    const struct request *r;
    char path[PATH_ROOM]; /* canonical so far; "" is the root */
    size_t length;
    char rest[PATH_ROOM]; /* still to go */
    char host[PATH_ROOM];
    int links;
    int how;
};

static const char *host_of(struct walk *walk) {
    if (!walk->length) return "/";
    return place_host_path(walk->r, word_of(walk->path, walk->length), walk->host);
}

static bool is_number(const char *text, size_t length, pid_t *number) {
    *number = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i > 9) return false;
        *number = *number * 10 + (text[i] - '0');
    }
    return length > 0;
}

/* Names under /proc that mean the caller itself are spelled "self", so that runs compare. */
static bool is_self(const struct walk *walk, const char *name, size_t length) {
    pid_t number;
    if (walk->length != 5 || memcmp(walk->path, "/proc", 5)) return false;
    if (length == 4 && !memcmp(name, "self", 4)) return true;
    if (length == 11 && !memcmp(name, "thread-self", 11)) return true;
    if (!is_number(name, length, &number)) return false;
    return number == walk->r->tid || (walk->r->process && number == walk->r->process->pid);
}

static void append(struct walk *walk, const char *name, size_t length) {
    if (walk->length + length + 2 > sizeof walk->path) return;
    walk->path[walk->length++] = '/';
    memcpy(walk->path + walk->length, name, length);
    walk->length += length;
    walk->path[walk->length] = 0;
}

static void step_up(struct walk *walk) {
    while (walk->length && walk->path[--walk->length] != '/') continue;
    walk->path[walk->length] = 0;
}

/* What is left goes behind the first name that is missing, tidied where that is safe. */
static void finish_missing(struct walk *walk) {
    if (strstr(walk->rest, "..")) return;
    for (char *at = walk->rest; *at;) {
        size_t length = strcspn(at, "/");
        if (length && !(length == 1 && *at == '.')) append(walk, at, length);
        at += length;
        while (*at == '/') at++;
    }
}

static void tell_link(struct walk *walk, const struct stat *st, const char *target, size_t length) {
    struct word *word = word_of(walk->path, walk->length);
    const struct process *process = walk->r->process;
    bool ours = word->flags & WORD_OURS;
    if (word->flags & WORD_LINK_TOLD) stream_passed(process->pid, word);
    /* A link that the run made is news to a leaf of it alone. */
    if ((word->flags & WORD_LINK_TOLD) || (ours && !stream_tells_each())) return;
    word->flags |= ours ? WORD_LINK_TOLD : WORD_LINK_TOLD | WORD_SEEN;
    struct event event = {.kind = EVENT_READLINK, .flags = FLAG_NOFOLLOW, .pid = process->pid,
                          .program = process->exe, .path = word,
                          .path2 = word_of(target, length), .before = st};
    stream_event(&event);
}

/* Links under /proc lead to things, not names; true when the walk may go on from their text. */
static bool follow_magic(struct walk *walk, const char *target, struct place *out) {
    struct stat named;
    if (target[0] != '/' && !strchr(target, ':')) return true; /* an ordinary one: net, mounts */
    if (stat(host_of(walk), &out->st)) return false;
    out->found = true;
    if (target[0] == '/' && !lstat(target, &named) && named.st_ino == out->st.st_ino &&
        named.st_dev == out->st.st_dev)
        return true;
    out->magic = true;
    return false;
}

static bool is_under_proc(const struct walk *walk) { return !strncmp(walk->path, "/proc/", 6); }

/* Puts a link's target before what is left to walk; false: too long or too many. */
static bool follow_link(struct walk *walk, const char *target, size_t length) {
    size_t left = strlen(walk->rest);
    if (++walk->links > LINKS_MAX || length + left + 2 > sizeof walk->rest) return false;
    memmove(walk->rest + length + 1, walk->rest, left + 1);
    memcpy(walk->rest, target, length);
    walk->rest[length] = '/';
    if (!left) walk->rest[length] = 0;
    if (target[0] == '/') {
        walk->length = 0;
        walk->path[0] = 0;
    } else {
        step_up(walk);
    }
    return true;
}

enum step { STEP_ON, STEP_FOUND, STEP_MISSING };

/* Decides about the name just appended; `last` when nothing is left to walk. */
static enum step step_into(struct walk *walk, bool last, struct place *out) {
    char target[NAME_MAX_BYTES + 1];
    struct word *word = word_of(walk->path, walk->length);
    if (!last && (word->flags & WORD_FOLDER) && word->generation == generation) return STEP_ON;
    if (examine(host_of(walk), &out->st, false)) return STEP_MISSING;
    if (S_ISLNK(out->st.st_mode) && (!last || (walk->how & PLACE_FOLLOW) || out->directory)) {
        ssize_t length = readlink(host_of(walk), target, sizeof target - 1);
        if (length <= 0) return STEP_MISSING;
        target[length] = 0;
        if (is_under_proc(walk)) {
            struct stat link = out->st;
            if (!follow_magic(walk, target, out)) return out->found && last ? STEP_FOUND : STEP_MISSING;
            out->found = false;
            out->st = link;
        } else {
            tell_link(walk, &out->st, target, (size_t)length);
        }
        return follow_link(walk, target, (size_t)length) ? STEP_ON : STEP_MISSING;
    }
    if (last) return STEP_FOUND;
    if (!S_ISDIR(out->st.st_mode)) return STEP_MISSING;
    word->flags |= WORD_FOLDER;
    word->generation = generation;
    return STEP_ON;
}

static enum step walk_on(struct walk *walk, struct place *out) {
    while (walk->rest[0]) {
        char name[NAME_MAX_BYTES + 1];
        size_t skip = strspn(walk->rest, "/");
        size_t length = strcspn(walk->rest + skip, "/");
        if (length > NAME_MAX_BYTES) return STEP_MISSING;
        memcpy(name, walk->rest + skip, length);
        size_t after = skip + length;
        after += strspn(walk->rest + after, "/");
        out->directory = walk->rest[after] == 0 && walk->rest[skip + length] == '/';
        memmove(walk->rest, walk->rest + after, strlen(walk->rest + after) + 1);
        bool last = walk->rest[0] == 0;
        if (length == 0 || (length == 1 && name[0] == '.')) {
            out->directory = last;
            continue;
        }
        if (length == 2 && name[0] == '.' && name[1] == '.') {
            step_up(walk);
            continue;
        }
        if (is_self(walk, name, length)) append(walk, "self", 4);
        else append(walk, name, length);
        enum step step = step_into(walk, last, out);
        if (step != STEP_ON) return step;
    }
    /* The path ended in `.`, `..` or `/`: the folder itself, or a link's target that did. */
    return examine(host_of(walk), &out->st, false) ? STEP_MISSING : STEP_FOUND;
}

/* Most paths name a file in a folder already walked: start there. */
static void skip_known_folder(struct walk *walk) {
    const char *rest = walk->rest, *slash = strrchr(rest, '/');
    if (rest[0] != '/' || slash == rest || !slash[1] || !strncmp(rest, "/proc/", 6)) return;
    if (strstr(rest, "//") || strstr(rest, "/.")) return;
    size_t length = (size_t)(slash - rest);
    const struct word *folder = word_known(rest, length);
    if (!folder || !(folder->flags & WORD_FOLDER) || folder->generation != generation) return;
    memcpy(walk->path, rest, length);
    walk->path[length] = 0;
    walk->length = length;
    memmove(walk->rest, slash + 1, strlen(slash + 1) + 1);
}

void place_of_text(const struct request *r, const char *path, int how, struct place *out) {
    static struct walk walk; /* one supervisor, one thread: too large for the stack of a handler */
    *out = (struct place){0};
    walk.r = r;
    walk.length = 0;
    walk.path[0] = 0;
    walk.links = 0;
    walk.how = how;
    size_t length = strnlen(path, sizeof walk.rest - 1);
    memcpy(walk.rest, path, length);
    walk.rest[length] = 0;
    skip_known_folder(&walk);
    enum step step = walk_on(&walk, out);
    if (step == STEP_MISSING) finish_missing(&walk);
    out->found = step == STEP_FOUND;
    out->word = walk.length ? word_of(walk.path, walk.length) : word_of("/", 1);
}

static bool base_text(const struct request *r, int dirfd, char *room, size_t size) {
    char entry[32];
    if (dirfd == AT_FDCWD) {
        const struct word *folder = working_folder(r->tid);
        if (!folder || folder->length >= size) return false;
        memcpy(room, folder->text, folder->length + 1);
        return true;
    }
    snprintf(entry, sizeof entry, "fd/%d", dirfd);
    return tracee_link(r->tid, entry, room, size) >= 0;
}

bool place_of_fd(const struct request *r, int fd, struct place *out) {
    char path[64];
    if (fd == AT_FDCWD) {
        char text[PATH_ROOM];
        if (!base_text(r, fd, text, sizeof text) || !request_is_live(r)) return false;
        place_of_text(r, text, PLACE_FOLLOW, out);
        return true;
    }
    if (fd < 0) return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    place_of_text(r, path, PLACE_FOLLOW, out);
    return request_is_live(r) && out->found;
}

bool place_named(const struct request *r, int dirfd, uint64_t address, int how, struct place *out) {
    static char path[PATH_ROOM], name[NAME_MAX_BYTES + 1];
    ssize_t length = 0;
    name[0] = 0;
    if (address) length = tracee_string(r, address, name, sizeof name);
    else if (!(how & PLACE_EMPTY)) return false;
    if (length < 0) return false;
    if (!length) return (how & PLACE_EMPTY) && place_of_fd(r, dirfd, out);
    if (name[0] == '/') {
        if (!request_is_sure(r)) return false;
        place_of_text(r, name, how, out);
        return true;
    }
    if (!base_text(r, dirfd, path, PATH_ROOM - sizeof name) || !request_is_sure(r)) return false;
    size_t base = strlen(path);
    path[base] = '/';
    memcpy(path + base + 1, name, (size_t)length + 1);
    place_of_text(r, path, how, out);
    return true;
}
