/* Every string of the recording is kept once; an open-addressing table finds it again. */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

static struct word **slots;
static size_t slot_count, word_count;

struct inode {
    dev_t dev;
    ino_t ino;
};
static struct inode *inodes;
static size_t inode_slots, inode_count;

static uint64_t hash_bytes(const char *text, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a, mixed once more because its high bits are weak */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash ^ (hash >> 29);
}

static void grow_words(void) {
    size_t old_count = slot_count;
    struct word **old = slots;
    slot_count = old_count ? old_count * 2 : 4096;
    slots = must_allocate(NULL, slot_count * sizeof *slots);
    memset(slots, 0, slot_count * sizeof *slots);
    for (size_t i = 0; i < old_count; i++) {
        if (!old[i]) continue;
        size_t at = hash_bytes(old[i]->text, old[i]->length) & (slot_count - 1);
        while (slots[at]) at = (at + 1) & (slot_count - 1);
        slots[at] = old[i];
    }
    free(old);
}

struct word *word_of(const char *text, size_t length) {
    if (word_count * 2 >= slot_count) grow_words();
    size_t at = hash_bytes(text, length) & (slot_count - 1);
    for (; slots[at]; at = (at + 1) & (slot_count - 1))
        if (slots[at]->length == length && !memcmp(slots[at]->text, text, length)) return slots[at];
    struct word *word = must_allocate(NULL, sizeof *word + length + 1);
    *word = (struct word){.length = (uint32_t)length};
    memcpy(word->text, text, length);
    word->text[length] = 0;
    word_count++;
    return slots[at] = word;
}

struct word *word_known(const char *text, size_t length) {
    if (!slot_count) return NULL;
    size_t at = hash_bytes(text, length) & (slot_count - 1);
    while (slots[at] && (slots[at]->length != length || memcmp(slots[at]->text, text, length)))
        at = (at + 1) & (slot_count - 1);
    return slots[at];
}

void words_each(void (*visit)(struct word *, void *), void *context) {
    /* A visitor may add words, which may move the table: walk a copy. */
    size_t count = slot_count;
    struct word **copy = must_allocate(NULL, count * sizeof *copy);
    memcpy(copy, slots, count * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        if (copy[i]) visit(copy[i], context);
    free(copy);
}

static size_t inode_slot(dev_t dev, ino_t ino) {
    size_t at = ((uint64_t)ino * 0x9e3779b97f4a7c15u ^ dev) & (inode_slots - 1);
    while (inodes[at].ino && (inodes[at].ino != ino || inodes[at].dev != dev))
        at = (at + 1) & (inode_slots - 1);
    return at;
}

static void grow_inodes(void) {
    size_t old_slots = inode_slots;
    struct inode *old = inodes;
    inode_slots = old_slots ? old_slots * 2 : 4096;
    inodes = must_allocate(NULL, inode_slots * sizeof *inodes);
    memset(inodes, 0, inode_slots * sizeof *inodes);
    for (size_t i = 0; i < old_slots; i++)
        if (old[i].ino) inodes[inode_slot(old[i].dev, old[i].ino)] = old[i];
    free(old);
}

bool inode_seen(const struct stat *st) {
    return inode_count && inodes[inode_slot(st->st_dev, st->st_ino)].ino != 0;
}

void inode_mark_seen(const struct stat *st) {
    if (inode_count * 2 >= inode_slots) grow_inodes();
    size_t at = inode_slot(st->st_dev, st->st_ino);
    if (inodes[at].ino) return;
    inodes[at] = (struct inode){st->st_dev, st->st_ino};
    inode_count++;
}
