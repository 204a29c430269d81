/* Old contents: what a file held before the run changed it, kept where the run depended on it. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

static const char *folder;
static uint64_t left_bytes;
static uint32_t kept;

void preimages_open(const char *into, uint64_t limit_bytes) {
    folder = into;
    left_bytes = limit_bytes;
}

void place_seen(struct place *place) {
    if (!place->found || !S_ISREG(place->st.st_mode) || (place->word->flags & WORD_OURS)) return;
    place->word->flags |= WORD_SEEN;
    inode_mark_seen(&place->st);
}

static bool copy_all(int from, int to) {
    if (ioctl(to, FICLONE, from) == 0) return true;
    for (;;) {
        ssize_t moved = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);
        if (moved == 0) return true;
        if (moved < 0) break;
    }
    static char block[1 << 16];
    /* Not every file system copies in the kernel; offsets show how far it came. */
    for (;;) {
        ssize_t got = read(from, block, sizeof block);
        if (got == 0) return true;
        if (got < 0 && errno == EINTR) continue;
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(to, block + done, (size_t)(got - done));
            if (wrote <= 0) return false;
            done += wrote;
        }
        if (got < 0) return false;
    }
}

static bool same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static uint32_t keep(const struct request *r, const struct word *word, const struct stat *st) {
    char host[PATH_ROOM], name[PATH_ROOM];
    if ((uint64_t)st->st_size > left_bytes) {
        stream_doubt("preimage", "%s is changed, and its old content is too large to keep",
                     word->text);
        return 0;
    }
    const char *path = place_host_path(r, word, host);
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int from = open(path, flags | O_NOATIME); /* only the owner may leave no trace of reading */
    if (from < 0) from = open(path, flags);
    snprintf(name, sizeof name, "%s/%u", folder, kept + 1);
    int to = from < 0 ? -1 : open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat after;
    bool done = to >= 0 && copy_all(from, to) && !fstat(from, &after) && same(st, &after);
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    if (!done) {
        stream_doubt("preimage", "%s is changed, and its old content could not be kept",
                     word->text);
        return 0;
    }
    left_bytes -= (uint64_t)st->st_size;
    return ++kept;
}

uint32_t preimage_for(const struct request *r, struct place *place, bool content_matters) {
    struct word *word = place->word;
    if (!place->found || !S_ISREG(place->st.st_mode) || !place->st.st_size) return 0;
    if (word->flags & (WORD_OURS | WORD_SAVED)) return 0;
    bool seen = (word->flags & WORD_SEEN) || (place->st.st_nlink > 1 && inode_seen(&place->st));
    if (!seen && !content_matters) return 0;
    word->flags |= WORD_SAVED;
    return keep(r, word, &place->st);
}

struct below {
    const struct request *r;
    const struct word *from, *to;
};

static void preserve(const struct request *r, struct word *word) {
    struct place place = {.word = word};
    if (lstat(word->text, &place.st)) return;
    place.found = true;
    uint32_t preimage = preimage_for(r, &place, true);
    if (!preimage) return;
    struct event event = {.kind = EVENT_PRESERVE, .pid = r->process->pid,
                          .program = r->process->exe, .path = word, .before = &place.st,
                          .preimage = preimage};
    stream_event(&event);
}

static void carry(struct word *word, const struct below *below) {
    char name[PATH_ROOM];
    size_t rest = word->length - below->from->length;
    if (below->to->length + rest >= sizeof name) return;
    memcpy(name, below->to->text, below->to->length);
    memcpy(name + below->to->length, word->text + below->from->length, rest);
    word_of(name, below->to->length + rest)->flags |= word->flags & (WORD_OURS | WORD_SAVED);
}

static void move_below(struct word *word, void *context) {
    const struct below *below = context;
    size_t length = below->from->length;
    if (word->length <= length || word->text[length] != '/' ||
        memcmp(word->text, below->from->text, length))
        return;
    if (word->flags & WORD_SEEN) preserve(below->r, word);
    carry(word, below);
}

void preimages_below(const struct request *r, const struct word *from, const struct word *to) {
    struct below below = {r, from, to};
    words_each(move_below, &below);
}
