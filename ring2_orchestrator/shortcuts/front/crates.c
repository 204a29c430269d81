/* The libraries that rustc finds in a folder which it lists: it looks for crates by name, and what
 * else comes and goes there, as in every folder that a parallel build fills, does not matter. */
#include "front.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

/* How long the name of a library is without its suffix; 0 for what is none. */
static size_t stem_length(const char *name) {
    static const char *const suffixes[] = {".rlib", ".rmeta", ".so"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t suffix = strlen(suffixes[i]);
        if (length > 3 + suffix && !strncmp(name, "lib", 3) &&
            !strcmp(name + length - suffix, suffixes[i]))
            return length - suffix;
    }
    return 0;
}

/* Whether the crate that a library `libNAME-HASH` is of is among names with a zero byte between. */
static bool is_sought(struct reader crates, const char *stem, size_t length) {
    const char *hash = memchr(stem, '-', length);
    size_t name = hash ? (size_t)(hash - stem) : length;
    while (crates.at < crates.end) {
        size_t left = (size_t)(crates.end - crates.at);
        const unsigned char *stop = memchr(crates.at, 0, left);
        size_t size = stop ? (size_t)(stop - crates.at) : left;
        if (size == name - 3 && !memcmp(crates.at, stem + 3, size)) return true;
        crates.at += size + 1;
    }
    return false;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The stems found, in their order, each once. */
static bool list(const char *path, struct reader crates, struct bytes *text) {
    DIR *folder = opendir(path);
    size_t count = 0, room = 0;
    char **stems = NULL;
    if (!folder) return false;
    for (struct dirent *entry; (entry = readdir(folder));) {
        size_t length = stem_length(entry->d_name);
        if (!length || !is_sought(crates, entry->d_name, length)) continue;
        if (count == room) {
            room = room ? 2 * room : 64;
            if (!(stems = realloc(stems, room * sizeof *stems))) leave_to_python();
        }
        if (!(stems[count++] = strndup(entry->d_name, length))) leave_to_python();
    }
    closedir(folder);
    if (count) qsort(stems, count, sizeof *stems, by_text);
    for (size_t i = 0; i < count; i++)
        if (!i || strcmp(stems[i - 1], stems[i])) add(text, stems[i], strlen(stems[i]) + 1);
    return true;
}

bool same_crates(struct reader *from, const char *path, const struct stat *st,
                 const unsigned char key[KEY_BYTES]) {
    struct bytes text = {0};
    unsigned char digest[DIGEST_BYTES];
    uint64_t mode = take(from, 4);
    const unsigned char *wanted = take_bytes(from, DIGEST_BYTES);
    struct reader crates = take_part(from);
    if (from->bad || st->st_mode != mode || !list(path, crates, &text)) return false;
    keyed_digest(key, text.data, text.length, digest);
    return !memcmp(digest, wanted, DIGEST_BYTES);
}
