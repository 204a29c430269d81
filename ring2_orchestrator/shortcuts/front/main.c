/* redoxa-run: `redoxa run` for a command whose results stand where they belong.
 *
 * A shortcut says on what such an answer rests. Where all of it holds, what the command printed is
 * printed again and the reuse is written down; where anything differs, or anything fails before the
 * first byte is printed, `redoxa run` answers. So a wrong shortcut costs time, never correctness. */
#include "front.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Found in the binary by the build, which so knows a stale one. */
const char source_digest[] __attribute__((used)) = SOURCE_DIGEST;

enum { MOST_BYTES = 64 << 20, CANNOT_RUN = 125, MOST_CODE = 255, NO_ANSWER = 204 };
static const char magic[8] = {'R', 'X', 'S', 'H', 'O', 'R', 'T', '2'};
static char **given; /* the words after our own name */
/* Under this name Python asks before it loads the rest of itself, and goes on where nothing is known. */
static const char asking[] = "redoxa-run?";
static bool asked;
static bool begun;
static bool wrapping; /* we stand for a compiler, which is silent about us */
/* Under this name `redoxa jit hint` asks whether a reuse would be answered, and what it said then. */
static const char asking_hint[] = "redoxa-hint?";
static bool hinting;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool find_python(char *path) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    if (length < 0) return false;
    char *slash = memrchr(path, '/', (size_t)length);
    if (!slash || path[0] != '/' || slash + 1 + sizeof "redoxa" > path + PATH_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(slash + 1, "redoxa");
    return true;
}

void no_way_back(void) { begun = true; }

void leave_to_python(void) {
    char path[PATH_MAX];
    size_t count = 0;
    if (begun) exit(CANNOT_RUN); /* there is no memory for the rest */
    if (asked) exit(NO_ANSWER);
    if (in_leaf()) run_leaf(given); /* Python would be a part of the recorded run */
    if (!find_python(path)) {
        fprintf(stderr, "redoxa: redoxa-run cannot tell where it is installed (%s); "
                "use `redoxa run`\n", strerror(errno));
        exit(CANNOT_RUN);
    }
    while (given[count]) count++;
    char **all = calloc(count + 5, sizeof *all);
    if (all) {
        all[0] = path, all[1] = "run", all[2] = wrapping ? "--compiler" : "--shortcut";
        if (wrapping) all[3] = "--";
        memcpy(all + 3 + wrapping, given, count * sizeof *given);
        execv(path, all);
    }
    fprintf(stderr, "redoxa: %s cannot be started (%s); install redoxa again\n", path, strerror(errno));
    exit(CANNOT_RUN);
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

/* Whether all that was printed went to one of two streams: none is printed in part. */
static bool cuts_fit(const struct answer *answer) {
    struct reader cuts = answer->cuts;
    uint64_t left = (uint64_t)(answer->printed.end - answer->printed.at);
    while (cuts.at < cuts.end) {
        uint64_t fd = take(&cuts, 1), length = take(&cuts, 8);
        if (cuts.bad || (fd != 1 && fd != 2) || length > left) return false;
        left -= length;
    }
    return !left;
}

static bool read_answer(struct reader *body, const unsigned char key[KEY_BYTES],
                        struct answer *answer, struct findings *found) {
    answer->exit_code = (uint32_t)take(body, 4);
    answer->outputs = (uint32_t)take(body, 4);
    answer->wall_ns = take(body, 8);
    /* Whoever asks what would be is not whoever runs it, so the streams do not count. */
    if (!surroundings_hold(body, key, !hinting)) return false;
    answer->entry = take_part(body);
    answer->restored_entry = take_part(body);
    answer->cuts = take_part(body);
    answer->printed = take_part(body);
    struct reader facts = take_part(body);
    answer->left = *body;
    return !body->bad && answer->exit_code <= MOST_CODE && cuts_fit(answer) &&
           facts_hold(&facts, key, found);
}

void print_all(int fd, const unsigned char *data, size_t length) {
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0 && errno == EAGAIN) {
            /* Another process has made the stream one that waits for nobody. */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (done < 0) _exit(errno == EPIPE ? 141 : CANNOT_RUN);
        data += done, length -= (size_t)done;
    }
}

/* What was printed, to the streams it was printed to, in its order. */
static void print_again(struct answer *answer) {
    while (answer->cuts.at < answer->cuts.end) {
        int fd = (int)take(&answer->cuts, 1);
        size_t length = take(&answer->cuts, 8);
        print_all(fd, answer->printed.at, length);
        answer->printed.at += length;
    }
}

static void grouped(uint32_t number, char text[16]) {
    if (number < 1000) sprintf(text, "%u", number);
    else if (number < 1000000) sprintf(text, "%u,%03u", number / 1000, number % 1000);
    else sprintf(text, "%u,%03u,%03u", number / 1000000, number / 1000 % 1000, number % 1000);
}

static void say(const struct answer *answer, uint64_t wall_ns) {
    char outputs[64] = "nothing to restore", number[16], saved[64] = "nothing", line[160];
    double seconds = ((double)answer->wall_ns - (double)wall_ns) / 1e9;
    grouped(answer->outputs, number);
    if (answer->outputs)
        snprintf(outputs, sizeof outputs, "%s output%s already in place", number,
                 answer->outputs == 1 ? "" : "s");
    if (seconds >= 120)
        snprintf(saved, sizeof saved, "%d min %d s", (int)seconds / 60, (int)seconds % 60);
    else if (seconds >= 0.9995) snprintf(saved, sizeof saved, "%.3g s", seconds);
    else if (seconds > 0) snprintf(saved, sizeof saved, "%.3g ms", seconds * 1000);
    int length = snprintf(line, sizeof line, "redoxa: reused: %s, %s saved\n", outputs, saved);
    print_all(2, (const unsigned char *)line, (size_t)length);
}

/* Ends the process; what was said of this command, where nothing it was said of has changed. */
static _Noreturn void hint(const char *question, char **command) {
    unsigned char key[KEY_BYTES];
    char home[PATH_MAX], path[PATH_MAX];
    struct bytes content = {0};
    struct reader body;
    struct answer answer = {0};
    struct findings found = {0};
    if (*command && !inside_recording() && find_home(home) && read_key(home, key) &&
        name_shortcut(home, key, command, path) && open_shortcut(path, key, &content, &body) &&
        say_hint(home, key, path, content.data + sizeof magic, question, false) &&
        read_answer(&body, key, &answer, &found))
        say_hint(home, key, path, content.data + sizeof magic, question, true);
    leave_to_python();
}

int main(int count, char **words) {
    static char *nothing[] = {NULL};
    uint64_t started = now_ns();
    unsigned char key[KEY_BYTES];
    char home[PATH_MAX], path[PATH_MAX];
    struct bytes content = {0};
    struct reader body;
    struct answer answer = {0};
    struct findings found = {0};
    hinting = asked = count > 2 && !strcmp(words[0], asking_hint);
    if (hinting) hint(words[1], words + 2);
    char **compiler = wrapped_command(count, words);
    wrapping = compiler != NULL;
    given = compiler ? compiler : count > 0 ? words + 1 : nothing; /* a name need not be given */
    asked = count > 0 && !strcmp(words[0], asking);
    /* Options are Python's: the command begins after `--`, or with its first word. */
    bool marked = !wrapping && *given && !strcmp(*given, "--");
    char **command = given + marked;
    /* Inside a recording not even the home is read: it would be an input of the outer run. Only a
     * compiler's wrapper answers there, where the recording expects it to. */
    bool inside = inside_recording();
    if (wrapping && inside && !begin_leaf(home)) run_plainly(command);
    bool keyed = *command && (marked || **command != '-') && streams_serve() &&
                 (in_leaf() ? leaf_may_answer() : !inside && find_home(home)) && read_key(home, key);
    bool known = keyed && name_shortcut(home, key, command, path) &&
                 open_shortcut(path, key, &content, &body) && read_answer(&body, key, &answer, &found);
    if (!known && wrapping && !in_leaf() && keyed) run_with_keeper(home, key, command);
    if (!known) leave_to_python();
    if (put_back(&answer, home, key, &found)) answer.entry = answer.restored_entry;
    /* Written down before a byte is printed, so that whatever fails here is still Python's. */
    if (!tell_ledger(home, key, answer.entry, now_ns() - started)) leave_to_python();
    print_again(&answer);
    if (!wrapping) say(&answer, now_ns() - started);
    return (int)answer.exit_code;
}
