/* The seccomp filter: one program, built from the lists of calls, inherited by every descendant. */
#include "trace.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROGRAM_MAX 4096
#define AT_EMPTY 0x1000
#define NAMESPACES 0x7e020080u /* every CLONE_NEW* flag */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

static struct sock_filter program[PROGRAM_MAX];
static unsigned short length;

static void add(uint16_t code, uint8_t yes, uint8_t no, uint32_t k) {
    if (length == PROGRAM_MAX) fail("the filter has grown too long");
    program[length++] = (struct sock_filter){code, yes, no, k};
}

static void answer(uint32_t action) { add(BPF_RET | BPF_K, 0, 0, action); }
static void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset); }

#define LOW(n) (offsetof(struct seccomp_data, args) + 8u * (n))
#define HIGH(n) (LOW(n) + 4u)
#define NOTIFY SECCOMP_RET_USER_NOTIF
#define ALLOW SECCOMP_RET_ALLOW

/* `then` when the loaded word equals `value`; otherwise go on. */
static void when_equal(uint32_t value, uint32_t then) {
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    answer(then);
}

static void when_bits(uint32_t bits, uint32_t then) {
    add(BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
    answer(then);
}

/* fstat comes as newfstatat(fd, "", AT_EMPTY_PATH), with no other flag. Whoever adds flags, or means
 * the working folder, may be naming a path, which only the stopped call can show. */
static void unless_descriptor(unsigned flags_at) {
    load(LOW(0));
    when_equal((uint32_t)AT_FDCWD, NOTIFY);
    load(LOW(flags_at));
    when_equal(AT_EMPTY, ALLOW);
    answer(NOTIFY);
}

static void usual_families(void) {
    static const uint32_t usual[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, 38 /* AF_ALG */};
    load(LOW(0));
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) when_equal(usual[i], ALLOW);
    answer(NOTIFY);
}

static void rule_body(enum call_rule rule) {
    switch (rule) {
    case RULE_NAMED3: unless_descriptor(3); break;
    case RULE_NAMED2: unless_descriptor(2); break;
    case RULE_NAMESPACES:
        load(LOW(0));
        when_bits(NAMESPACES, NOTIFY);
        answer(ALLOW);
        break;
    case RULE_ADDRESSED:
        load(LOW(4));
        add(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0);
        answer(NOTIFY);
        load(HIGH(4));
        when_equal(0, ALLOW);
        answer(NOTIFY);
        break;
    case RULE_FAMILY: usual_families(); break;
    case RULE_KEYED:
        load(LOW(0));
        when_equal(0, ALLOW);
        answer(NOTIFY);
        break;
    case RULE_REFUSE: answer(SECCOMP_RET_ERRNO | ENOSYS); break;
    case RULE_NOTIFY: answer(NOTIFY); break;
    }
}

static const struct call *stopped(int number) {
    for (size_t i = 0; i < stopped_count; i++)
        if (stopped_calls[i].number == number) return &stopped_calls[i];
    return NULL;
}

/* A body of its own for one call: skipped as a whole when another call is made. */
static unsigned short begin(int number) {
    add(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (uint32_t)number);
    add(BPF_JMP | BPF_JA, 0, 0, 0);
    return length;
}

static void end(unsigned short begun) { program[begun - 1].k = length - begun; }

/* Uses of inherited descriptors come first, because most of these calls pass otherwise. */
static void watch_inherited(void) {
    for (size_t i = 0; inherited_count && i < descriptor_use_count; i++) {
        int number = descriptor_uses[i].number;
        if (i && descriptor_uses[i - 1].number == number) continue;
        unsigned short begun = begin(number);
        for (size_t j = i; j < descriptor_use_count && descriptor_uses[j].number == number; j++) {
            load(LOW(descriptor_uses[j].argument));
            for (size_t fd = 0; fd < inherited_count; fd++)
                when_equal((uint32_t)inherited[fd], NOTIFY);
        }
        const struct call *call = stopped(number);
        if (call) rule_body(call->rule);
        else answer(ALLOW);
        end(begun);
    }
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static void allow_harmless(void) {
    int numbers[512];
    memcpy(numbers, harmless_calls, harmless_count * sizeof *numbers);
    qsort(numbers, harmless_count, sizeof *numbers, by_number);
    for (size_t i = 0, j; i < harmless_count; i = j) {
        for (j = i + 1; j < harmless_count && numbers[j] == numbers[j - 1] + 1; j++) continue;
        add(BPF_JMP | BPF_JGE | BPF_K, 0, 2, (uint32_t)numbers[i]);
        add(BPF_JMP | BPF_JGT | BPF_K, 1, 0, (uint32_t)numbers[j - 1]);
        answer(ALLOW);
    }
}

static void build(void) {
    load(offsetof(struct seccomp_data, arch));
    add(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, NATIVE_ABI);
    answer(NOTIFY);
    load(offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    add(BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
    answer(NOTIFY);
#endif
    watch_inherited();
    for (size_t i = 0; i < stopped_count; i++) {
        unsigned short begun = begin(stopped_calls[i].number);
        rule_body(stopped_calls[i].rule);
        end(begun);
    }
    allow_harmless();
    answer(NOTIFY);
}

static int install(unsigned long flags) {
    struct sock_fprog filter = {length, program};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
}

int filter_install(void) {
    build();
    /* The program must run as fast as without us: no mitigation it did not ask for. */
    unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    unsigned long patient = flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    int listener = install(patient);
    if (listener < 0 && errno == EACCES) {
        /* Only root may filter without this promise, which also keeps setuid from working. */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
        listener = install(patient);
    }
    if (listener < 0 && errno == EINVAL) listener = install(flags);
    return listener;
}
