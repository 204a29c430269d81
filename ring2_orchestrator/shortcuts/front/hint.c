/* What `redoxa jit hint` said of a command: said again while ledger, shortcut and question are the same. */
#include "front.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_BYTES = 1 << 20, MOST_HEAD = 1 << 16 };
static const char magic[8] = {'R', 'X', 'H', 'I', 'N', 'T', '0', '1'};

static bool beside(char path[PATH_MAX], const char *at, const char *name) {
    int length = snprintf(path, PATH_MAX, "%s%s", at, name);
    return length > 0 && length < PATH_MAX;
}

/* Reuses that nobody has entered yet are news that the hint does not know. */
static bool none_spooled(const char *home) {
    char path[PATH_MAX];
    struct stat st;
    return beside(path, home, "/reuses") && (lstat(path, &st) || !st.st_size);
}

static void add_part(struct bytes *to, const void *data, size_t length) {
    add_number(to, length, 4);
    add(to, data, length);
}

bool say_hint(const char *home, const unsigned char key[KEY_BYTES], const char *shortcut,
              const unsigned char mac[DIGEST_BYTES], const char *question, bool printed) {
    char path[PATH_MAX];
    struct bytes head = {0}, kept = {0}, state = {0};
    unsigned char digest[DIGEST_BYTES];
    if (!beside(path, shortcut, ".hint") || !read_own_file(path, MOST_BYTES, &kept)) return false;
    if (kept.length < DIGEST_BYTES || !none_spooled(home)) return false;
    if (!beside(path, home, "/ledger/checkpoint") || !read_own_file(path, MOST_HEAD, &head))
        return false;
    add(&state, magic, sizeof magic);
    add(&state, mac, DIGEST_BYTES);
    add_part(&state, question, strlen(question));
    add_part(&state, head.data, head.length);
    add(&state, kept.data + DIGEST_BYTES, kept.length - DIGEST_BYTES);
    keyed_digest(key, state.data, state.length, digest);
    if (memcmp(digest, kept.data, DIGEST_BYTES)) return false;
    if (!printed) return true;
    print_all(1, kept.data + DIGEST_BYTES, kept.length - DIGEST_BYTES);
    exit(0);
}
