/* redoxa-run: `redoxa run` for a command whose results stand where they belong.
 *
 * A shortcut says on what such an answer rests. Where all of it holds, what the command printed is
 * printed again and the reuse is written down; where anything differs, or anything fails before the
 * first byte is printed, `redoxa run` answers. So a wrong shortcut costs time, never correctness. */
#include "front.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Found in the binary by the build, which so knows a stale one. */
static const char source_digest[] __attribute__((used)) = SOURCE_DIGEST;

enum { MOST_BYTES = 64 << 20, CANNOT_RUN = 125 };
static const char magic[8] = {'R', 'X', 'S', 'H', 'O', 'R', 'T', '1'};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Everything that a shortcut cannot answer, in the same process and with the same streams. */
static int leave_to_python(char **words) {
    char path[PATH_MAX];
    size_t count = 0;
    while (words[count]) count++;
    char **all = calloc(count + 4, sizeof *all);
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "redoxa");
    if (all && length > 0) {
        path[length] = 0;
        strcpy(strrchr(path, '/') + 1, "redoxa");
        all[0] = path, all[1] = "run", all[2] = "--shortcut";
        memcpy(all + 3, words, count * sizeof *words);
        execv(path, all);
    }
    fprintf(stderr, "redoxa: %s cannot be started (%s); install redoxa again\n", path, strerror(errno));
    return CANNOT_RUN;
}

/* As ring2_orchestrator.home.default_home. */
static bool find_home(char home[PATH_MAX]) {
    static const char *const places[][2] = {
        {"REDOXA_HOME", ""}, {"XDG_DATA_HOME", "/redoxa"}, {"HOME", "/.local/share/redoxa"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *value = getenv(places[i][0]);
        if (!value || !*value) continue;
        int length = snprintf(home, PATH_MAX, "%s%s", value, places[i][1]);
        return length > 0 && length < PATH_MAX;
    }
    return false;
}

static bool read_key(const char *home, unsigned char key[KEY_BYTES]) {
    char path[PATH_MAX];
    struct bytes read = {0};
    if (snprintf(path, sizeof path, "%s/environment.key", home) >= (int)sizeof path) return false;
    if (!read_own_file(path, KEY_BYTES, &read) || read.length != KEY_BYTES) return false;
    memcpy(key, read.data, KEY_BYTES);
    return true;
}

/* The name of a shortcut says nothing of the command to whoever lists the folder. */
static bool name_shortcut(const char *home, const unsigned char key[KEY_BYTES], char **words,
                          char path[PATH_MAX]) {
    char folder[PATH_MAX];
    struct bytes text = {0};
    unsigned char digest[DIGEST_BYTES];
    if (!getcwd(folder, sizeof folder) || folder[0] != '/') return false;
    for (; *words; words++) add(&text, *words, strlen(*words) + 1);
    add(&text, "", 1);
    add(&text, folder, strlen(folder));
    keyed_digest(key, text.data, text.length, digest);
    int at = snprintf(path, PATH_MAX, "%s/shortcuts/", home);
    if (at < 0 || at + 2 * DIGEST_BYTES >= PATH_MAX) return false;
    for (int i = 0; i < DIGEST_BYTES; i++) sprintf(path + at + 2 * i, "%02x", digest[i]);
    return true;
}

/* The shortcut's body, where the file is whole and of this home. */
static bool open_shortcut(const char *path, const unsigned char key[KEY_BYTES],
                          struct bytes *content, struct reader *body) {
    unsigned char digest[DIGEST_BYTES];
    size_t head = sizeof magic + DIGEST_BYTES;
    if (!read_own_file(path, MOST_BYTES, content) || content->length < head) return false;
    *body = (struct reader){content->data + head, content->data + content->length, false};
    keyed_digest(key, body->at, (size_t)(body->end - body->at), digest);
    return !memcmp(content->data, magic, sizeof magic) &&
           !memcmp(content->data + sizeof magic, digest, DIGEST_BYTES);
}

static bool read_answer(struct reader *body, const unsigned char key[KEY_BYTES],
                        struct answer *answer) {
    answer->exit_code = (uint32_t)take(body, 4);
    answer->outputs = (uint32_t)take(body, 4);
    answer->wall_ns = take(body, 8);
    if (!surroundings_hold(body, key)) return false;
    answer->entry = take_part(body);
    answer->cuts = take_part(body);
    answer->printed = take_part(body);
    return !body->bad && facts_hold(body);
}

static void print_all(int fd, const unsigned char *data, size_t length) {
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) _exit(errno == EPIPE ? 141 : CANNOT_RUN);
        data += done, length -= (size_t)done;
    }
}

/* What was printed, to the streams it was printed to, in its order. */
static bool print_again(struct answer *answer) {
    while (answer->cuts.at < answer->cuts.end) {
        int fd = (int)take(&answer->cuts, 1);
        uint64_t length = take(&answer->cuts, 8);
        if (answer->cuts.bad || length > (size_t)(answer->printed.end - answer->printed.at))
            return false;
        print_all(fd == 1 ? 1 : 2, answer->printed.at, length);
        answer->printed.at += length;
    }
    return true;
}

static void grouped(uint32_t number, char text[16]) {
    if (number < 1000) sprintf(text, "%u", number);
    else if (number < 1000000) sprintf(text, "%u,%03u", number / 1000, number % 1000);
    else sprintf(text, "%u,%03u,%03u", number / 1000000, number / 1000 % 1000, number % 1000);
}

static void say(const struct answer *answer, uint64_t wall_ns) {
    char outputs[64] = "nothing to restore", number[16], saved[64] = "nothing";
    double seconds = ((double)answer->wall_ns - (double)wall_ns) / 1e9;
    grouped(answer->outputs, number);
    if (answer->outputs)
        snprintf(outputs, sizeof outputs, "%s output%s already in place", number,
                 answer->outputs == 1 ? "" : "s");
    if (seconds >= 120)
        snprintf(saved, sizeof saved, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    else if (seconds >= 0.9995) snprintf(saved, sizeof saved, "%.3g s", seconds);
    else if (seconds > 0) snprintf(saved, sizeof saved, "%.3g ms", seconds * 1000);
    dprintf(2, "redoxa: reused: %s, %s saved\n", outputs, saved);
}

int main(int count, char **words) {
    uint64_t begun = now_ns();
    unsigned char key[KEY_BYTES];
    char home[PATH_MAX], path[PATH_MAX];
    struct bytes content = {0};
    struct reader body;
    struct answer answer = {0};
    /* Options are Python's: the command begins after `--`, or with its first word. */
    char **command = words + (count > 1 && !strcmp(words[1], "--") ? 2 : 1);
    bool known = *command && (command[-1] != words[0] || **command != '-') && find_home(home) &&
                 read_key(home, key) && name_shortcut(home, key, command, path) &&
                 open_shortcut(path, key, &content, &body) && !inside_recording() &&
                 read_answer(&body, key, &answer);
    if (!known) return leave_to_python(words + 1);
    /* Written down before a byte is printed, so that whatever fails here is still Python's. */
    if (!tell_ledger(home, key, answer.entry, now_ns() - begun)) return leave_to_python(words + 1);
    if (!print_again(&answer)) return CANNOT_RUN;
    say(&answer, now_ns() - begun);
    return (int)answer.exit_code;
}
