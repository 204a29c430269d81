/* Which calls are stopped, which pass, which are refused. A call in no list is stopped, and makes
 * the run unpublishable: what is not known must never pass silently. */
#include "trace.h"

#include <asm/unistd.h>
#include <linux/audit.h>

/* Numbers newer than the headers a builder may have; they are the same on every architecture. */
enum {
    NR_cachestat = 451,
    NR_fchmodat2,
    NR_map_shadow_stack,
    NR_futex_wake,
    NR_futex_wait,
    NR_futex_requeue,
    NR_statmount,
    NR_listmount,
    NR_lsm_get_self_attr,
    NR_lsm_set_self_attr,
    NR_lsm_list_modules,
    NR_mseal,
    NR_setxattrat,
    NR_getxattrat,
    NR_listxattrat,
    NR_removexattrat,
    NR_open_tree_attr,
    NR_file_getattr,
    NR_file_setattr,
    NR_listns,
    NR_rseq_slice_yield
};

#define FILE_CALL(name) {__NR_##name, RULE_NOTIFY, on_file_call}
#define OUTSIDE_CALL(name) {__NR_##name, RULE_NOTIFY, on_outside}

const struct call stopped_calls[] = {
    /* The most frequent first: the filter looks through them in this order. */
    {__NR_newfstatat, RULE_NAMED3, on_file_call},
    FILE_CALL(openat),
    {__NR_statx, RULE_NAMED2, on_file_call},
    FILE_CALL(getdents64), FILE_CALL(readlinkat), FILE_CALL(faccessat), FILE_CALL(faccessat2),
    FILE_CALL(openat2), FILE_CALL(statfs), FILE_CALL(chdir), FILE_CALL(fchdir), FILE_CALL(name_to_handle_at),
    FILE_CALL(inotify_add_watch), FILE_CALL(renameat), FILE_CALL(renameat2), FILE_CALL(unlinkat),
    FILE_CALL(mkdirat), FILE_CALL(mknodat), FILE_CALL(linkat), FILE_CALL(symlinkat),
    FILE_CALL(truncate), FILE_CALL(fchmod), FILE_CALL(fchmodat), FILE_CALL(fchown),
    FILE_CALL(fchownat), FILE_CALL(utimensat), FILE_CALL(getxattr), FILE_CALL(lgetxattr),
    FILE_CALL(listxattr), FILE_CALL(llistxattr), FILE_CALL(setxattr), FILE_CALL(lsetxattr),
    FILE_CALL(fsetxattr), FILE_CALL(removexattr), FILE_CALL(lremovexattr),
    FILE_CALL(fremovexattr),
    {NR_fchmodat2, RULE_NOTIFY, on_file_call}, {NR_setxattrat, RULE_NOTIFY, on_file_call},
    {NR_getxattrat, RULE_NOTIFY, on_file_call}, {NR_listxattrat, RULE_NOTIFY, on_file_call},
    {NR_removexattrat, RULE_NOTIFY, on_file_call}, {NR_file_getattr, RULE_NOTIFY, on_file_call},
    {NR_file_setattr, RULE_NOTIFY, on_file_call},
#ifdef __x86_64__ /* the calls that newer architectures no longer have */
    FILE_CALL(open), FILE_CALL(stat), FILE_CALL(lstat), FILE_CALL(access), FILE_CALL(readlink),
    FILE_CALL(creat), FILE_CALL(getdents), FILE_CALL(rename), FILE_CALL(unlink), FILE_CALL(rmdir),
    FILE_CALL(mkdir), FILE_CALL(mknod), FILE_CALL(link), FILE_CALL(symlink), FILE_CALL(chmod),
    FILE_CALL(chown), FILE_CALL(lchown), FILE_CALL(utime), FILE_CALL(utimes),
    FILE_CALL(futimesat),
#endif
    {__NR_execve, RULE_NOTIFY, on_exec}, {__NR_execveat, RULE_NOTIFY, on_exec},
    {__NR_exit, RULE_NOTIFY, on_end}, {__NR_exit_group, RULE_NOTIFY, on_end},
    {__NR_clone, RULE_NAMESPACES, on_outside}, {__NR_unshare, RULE_NAMESPACES, on_outside},
    {__NR_clone3, RULE_NOTIFY, on_clone3},
    {__NR_socket, RULE_FAMILY, on_socket}, {__NR_connect, RULE_NOTIFY, on_address},
    {__NR_bind, RULE_NOTIFY, on_address}, {__NR_sendto, RULE_ADDRESSED, on_address},
    {__NR_sendmsg, RULE_NOTIFY, on_message}, {__NR_sendmmsg, RULE_NOTIFY, on_message},
    {__NR_listen, RULE_NOTIFY, on_listen},
    {__NR_kill, RULE_NOTIFY, on_kill}, {__NR_tkill, RULE_NOTIFY, on_kill},
    {__NR_tgkill, RULE_NOTIFY, on_kill}, {__NR_rt_sigqueueinfo, RULE_NOTIFY, on_kill},
    {__NR_rt_tgsigqueueinfo, RULE_NOTIFY, on_kill},
    {__NR_pidfd_send_signal, RULE_NOTIFY, on_kill},
    {__NR_ptrace, RULE_NOTIFY, on_memory}, {__NR_process_vm_readv, RULE_NOTIFY, on_memory},
    {__NR_process_vm_writev, RULE_NOTIFY, on_memory}, {__NR_pidfd_getfd, RULE_NOTIFY, on_memory},
    {__NR_shmget, RULE_KEYED, on_outside}, {__NR_msgget, RULE_KEYED, on_outside},
    {__NR_semget, RULE_KEYED, on_outside}, OUTSIDE_CALL(mq_open), OUTSIDE_CALL(mq_unlink),
    OUTSIDE_CALL(add_key), OUTSIDE_CALL(request_key), OUTSIDE_CALL(keyctl),
    OUTSIDE_CALL(open_by_handle_at), OUTSIDE_CALL(chroot), OUTSIDE_CALL(pivot_root),
    OUTSIDE_CALL(mount), OUTSIDE_CALL(umount2), OUTSIDE_CALL(setns), OUTSIDE_CALL(fsopen),
    OUTSIDE_CALL(fsconfig), OUTSIDE_CALL(fsmount), OUTSIDE_CALL(fspick),
    OUTSIDE_CALL(move_mount), OUTSIDE_CALL(open_tree), OUTSIDE_CALL(mount_setattr),
    {NR_open_tree_attr, RULE_NOTIFY, on_outside},
    OUTSIDE_CALL(acct), OUTSIDE_CALL(adjtimex), OUTSIDE_CALL(bpf), OUTSIDE_CALL(clock_adjtime),
    OUTSIDE_CALL(clock_settime), OUTSIDE_CALL(delete_module), OUTSIDE_CALL(fanotify_init),
    OUTSIDE_CALL(fanotify_mark), OUTSIDE_CALL(finit_module), OUTSIDE_CALL(init_module),
    OUTSIDE_CALL(kexec_load), OUTSIDE_CALL(perf_event_open), OUTSIDE_CALL(quotactl),
    OUTSIDE_CALL(reboot), OUTSIDE_CALL(setdomainname), OUTSIDE_CALL(sethostname),
    OUTSIDE_CALL(settimeofday), OUTSIDE_CALL(swapoff), OUTSIDE_CALL(swapon), OUTSIDE_CALL(syslog),
    OUTSIDE_CALL(vhangup),
    /* Rings take calls past every filter; programs fall back to ordinary calls. */
    {__NR_io_uring_setup, RULE_REFUSE, NULL}, {__NR_io_uring_enter, RULE_REFUSE, NULL},
    {__NR_io_uring_register, RULE_REFUSE, NULL},
};
const size_t stopped_count = sizeof stopped_calls / sizeof *stopped_calls;

#define NR(name) __NR_##name

/* They work on what is already open, on the caller itself, or ask what no file holds. */
const int harmless_calls[] = {
    NR(accept), NR(accept4), NR(brk), NR(capget), NR(capset), NR(clock_getres), NR(clock_gettime),
    NR(clock_nanosleep), NR(close), NR(close_range), NR(copy_file_range), NR(dup), NR(dup3),
    NR(epoll_create1), NR(epoll_ctl), NR(epoll_pwait), NR(epoll_pwait2), NR(eventfd2),
    NR(fadvise64), NR(fallocate), NR(fcntl), NR(fdatasync), NR(fgetxattr),
    NR(flistxattr), NR(flock), NR(fstat), NR(fstatfs), NR(fsync), NR(ftruncate), NR(futex),
    NR(futex_waitv), NR(get_mempolicy), NR(get_robust_list), NR(getcpu), NR(getcwd), NR(getegid),
    NR(geteuid), NR(getgid), NR(getgroups), NR(getitimer), NR(getpeername), NR(getpgid),
    NR(getpid), NR(getppid), NR(getpriority), NR(getrandom), NR(getresgid), NR(getresuid),
    NR(getrlimit), NR(getrusage), NR(getsid), NR(getsockname), NR(getsockopt), NR(gettid),
    NR(gettimeofday), NR(getuid), NR(inotify_init1), NR(inotify_rm_watch), NR(io_cancel),
    NR(io_destroy), NR(io_getevents), NR(io_pgetevents), NR(io_setup), NR(io_submit), NR(ioctl),
    NR(ioprio_get), NR(ioprio_set), NR(kcmp), NR(landlock_add_rule),
    NR(landlock_create_ruleset), NR(landlock_restrict_self), NR(lseek), NR(madvise), NR(mbind),
    NR(membarrier), NR(memfd_create), NR(memfd_secret), NR(migrate_pages), NR(mincore), NR(mlock),
    NR(mlock2), NR(mlockall), NR(mmap), NR(move_pages), NR(mprotect), NR(mq_getsetattr),
    NR(mq_notify), NR(mq_timedreceive), NR(mq_timedsend), NR(mremap), NR(msgctl), NR(msgrcv),
    NR(msgsnd), NR(msync), NR(munlock), NR(munlockall), NR(munmap), NR(nanosleep),
    NR(nfsservctl), NR(personality), NR(pidfd_open), NR(pipe2), NR(pkey_alloc), NR(pkey_free),
    NR(pkey_mprotect), NR(ppoll), NR(prctl), NR(pread64), NR(preadv), NR(preadv2), NR(prlimit64),
    NR(process_madvise), NR(process_mrelease), NR(pselect6), NR(pwrite64), NR(pwritev),
    NR(pwritev2), NR(read), NR(readahead), NR(readv), NR(recvfrom), NR(recvmmsg), NR(recvmsg),
    NR(remap_file_pages), NR(restart_syscall), NR(rseq), NR(rt_sigaction), NR(rt_sigpending),
    NR(rt_sigprocmask), NR(rt_sigreturn), NR(rt_sigsuspend), NR(rt_sigtimedwait),
    NR(sched_get_priority_max), NR(sched_get_priority_min), NR(sched_getaffinity),
    NR(sched_getattr), NR(sched_getparam), NR(sched_getscheduler), NR(sched_rr_get_interval),
    NR(sched_setaffinity), NR(sched_setattr), NR(sched_setparam), NR(sched_setscheduler),
    NR(sched_yield), NR(seccomp), NR(semctl), NR(semop), NR(semtimedop), NR(sendfile),
    NR(set_mempolicy), NR(set_robust_list), NR(set_tid_address), NR(setfsgid), NR(setfsuid),
    NR(setgid), NR(setgroups), NR(setitimer), NR(setpgid), NR(setpriority), NR(setregid),
    NR(setresgid), NR(setresuid), NR(setreuid), NR(setrlimit), NR(setsid), NR(setsockopt),
    NR(setuid), NR(shmat), NR(shmctl), NR(shmdt), NR(shutdown), NR(sigaltstack), NR(signalfd4),
    NR(socketpair), NR(splice), NR(sync), NR(sync_file_range), NR(syncfs), NR(sysinfo), NR(tee),
    NR(timer_create), NR(timer_delete), NR(timer_getoverrun), NR(timer_gettime),
    NR(timer_settime), NR(timerfd_create), NR(timerfd_gettime), NR(timerfd_settime), NR(times),
    NR(umask), NR(uname), NR(userfaultfd), NR(vmsplice), NR(wait4), NR(waitid), NR(write),
    NR(writev),
    NR_cachestat, NR_map_shadow_stack, NR_futex_wake, NR_futex_wait, NR_futex_requeue,
    NR_statmount, NR_listmount, NR_lsm_get_self_attr, NR_lsm_set_self_attr, NR_lsm_list_modules,
    NR_mseal, NR_listns, NR_rseq_slice_yield,
#ifdef __x86_64__
    NR(alarm), NR(arch_prctl), NR(dup2), NR(epoll_create), NR(epoll_wait), NR(eventfd), NR(fork),
    NR(get_thread_area), NR(getpgrp), NR(inotify_init), NR(ioperm), NR(iopl), NR(modify_ldt),
    NR(pause), NR(pipe), NR(poll), NR(select), NR(set_thread_area), NR(signalfd), NR(sysfs),
    NR(time), NR(ustat), NR(vfork),
#endif
};
const size_t harmless_count = sizeof harmless_calls / sizeof *harmless_calls;

const struct descriptor_use descriptor_uses[] = {
    {__NR_read, 0}, {__NR_write, 0}, {__NR_pread64, 0}, {__NR_pwrite64, 0}, {__NR_readv, 0},
    {__NR_writev, 0}, {__NR_preadv, 0}, {__NR_pwritev, 0}, {__NR_preadv2, 0}, {__NR_pwritev2, 0},
    {__NR_sendfile, 0}, {__NR_sendfile, 1}, {__NR_splice, 0}, {__NR_splice, 2}, {__NR_tee, 0},
    {__NR_tee, 1}, {__NR_vmsplice, 0}, {__NR_copy_file_range, 0}, {__NR_copy_file_range, 2},
    {__NR_dup, 0}, {__NR_dup3, 0}, {__NR_mmap, 4}, {__NR_ioctl, 0}, {__NR_recvfrom, 0},
    {__NR_recvmsg, 0}, {__NR_recvmmsg, 0}, {__NR_sendto, 0}, {__NR_sendmsg, 0},
    {__NR_sendmmsg, 0}, {__NR_getdents64, 0}, {__NR_ftruncate, 0}, {__NR_fallocate, 0},
    {__NR_epoll_ctl, 2}, {__NR_accept, 0}, {__NR_accept4, 0},
#ifdef __x86_64__
    {__NR_dup2, 0},
#endif
};
const size_t descriptor_use_count = sizeof descriptor_uses / sizeof *descriptor_uses;

void on_call(struct request *request) {
    if (inherited_count) inherited_used(request);
    if (request->arch != NATIVE_ABI ||
        (NATIVE_ABI != AUDIT_ARCH_AARCH64 && ((unsigned)request->number & X32_BIT))) {
        on_foreign_abi(request);
        return;
    }
    for (size_t i = 0; i < stopped_count; i++)
        if (stopped_calls[i].number == request->number) {
            stopped_calls[i].handle(request);
            return;
        }
    for (size_t i = 0; i < harmless_count; i++) /* stopped only for a watched descriptor */
        if (harmless_calls[i] == request->number) return;
    on_unknown(request);
}
