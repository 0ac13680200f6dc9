/* Runs an unmodified program, and all that it starts, at another time of day.
 *
 *     shifted OFFSET-FILE PROGRAM [ARGUMENT...]
 *
 * OFFSET-FILE holds one int64_t in the machine's byte order: seconds to add to the real time. The
 * file is mapped, so whoever writes to it moves the clock of programs that run.
 *
 * Preloading a library cannot do this: Go's programs have no libc to preload before, and everybody
 * reads the time from the vDSO, without a system call that could be seen. So:
 *
 * 1. At each exec, AT_SYSINFO_EHDR is struck from the auxiliary vector (getauxval(3)). A program
 *    that finds no vDSO there makes the system call instead: glibc, musl and Go all do.
 * 2. A seccomp filter stops the calls that read a clock of the time of day, and no other; the
 *    stopped call is answered here and skipped. Monotonic clocks, sleeps and timers run as ever
 *    (but a sleep until a time of day ends at that time of the real clock).
 *
 * Signals that ask this program to end go to PROGRAM; its exit status is handed on. What PROGRAM
 * leaves running when it ends is killed: nobody could answer its calls any more.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the registers below are those of x86-64"
#endif

#define OPTIONS                                                                                    \
    (PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE |        \
     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK)

static const volatile int64_t *offset;
static volatile pid_t program;

static void fail(const char *what) {
    fprintf(stderr, "shifted: %s: ", what);
    perror(NULL);
    exit(125);
}

static void pass_on(int signal) { kill(program, signal); }

static void map_offset(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat facts;
    if (file < 0 || fstat(file, &facts) < 0) fail(path);
    if (facts.st_size != sizeof *offset) {
        fprintf(stderr, "shifted: %s is not %zu bytes long\n", path, sizeof *offset);
        exit(125);
    }
    offset = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (offset == MAP_FAILED) fail(path);
    close(file);
}

/* Stops clock_gettime of these clocks, gettimeofday and time; lets all else pass. */
static void install_filter(void) {
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (then), (otherwise))
    struct sock_filter filter[] = {
        LOAD(arch),
        IF(AUDIT_ARCH_X86_64, 0, 8), /* else allow */
        LOAD(nr),
        IF(SYS_gettimeofday, 7, 0),      /* trace */
        IF(SYS_time, 6, 0),              /* trace */
        IF(SYS_clock_gettime, 0, 4),     /* else allow */
        LOAD(args[0]),
        IF(CLOCK_REALTIME, 3, 0),        /* trace */
        IF(CLOCK_REALTIME_COARSE, 2, 0), /* trace */
        IF(CLOCK_TAI, 1, 0),             /* trace */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    struct sock_fprog code = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("no new privileges");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &code) < 0) fail("the system call filter");
}

static pid_t start(char **command) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) < 0) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        char nothing;
        close(gate[1]);
        /* Opens when this process is traced. */
        if (read(gate[0], &nothing, 1) != 0) _exit(125);
        install_filter();
        execvp(command[0], command);
        fail(command[0]);
    }
    if (ptrace(PTRACE_SEIZE, child, NULL, OPTIONS) < 0) fail("ptrace");
    close(gate[0]);
    close(gate[1]);
    return child;
}

/* The word at `address` of a stopped process; -1 and errno if there is none. */
static long peek(pid_t task, uint64_t address) {
    errno = 0;
    return ptrace(PTRACE_PEEKDATA, task, (void *)address, NULL);
}

/* The stack at the start of a program: argc, arguments, 0, environment, 0, auxiliary vector. */
static void strike_vdso(pid_t task) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, task, NULL, &registers) < 0) return; /* killed meanwhile */
    const uint64_t word = sizeof(uint64_t);
    uint64_t at = registers.rsp + (1 + (uint64_t)peek(task, registers.rsp) + 1) * word;
    while (peek(task, at) != 0 && errno == 0) at += word;
    at += word;
    for (long type; errno == 0 && (type = peek(task, at)) != AT_NULL; at += 2 * word)
        if (type == AT_SYSINFO_EHDR)
            ptrace(PTRACE_POKEDATA, task, (void *)at, (void *)(uint64_t)AT_IGNORE);
}

/* Copies into a stopped process; the result of a system call that does so. */
static long give(pid_t task, uint64_t address, const void *value, size_t length) {
    if (address == 0) return 0;
    struct iovec from = {(void *)value, length}, to = {(void *)address, length};
    return process_vm_writev(task, &from, 1, &to, 1, 0) == (ssize_t)length ? 0 : -EFAULT;
}

/* Answers a call that reads the time of day, and has the kernel skip it. */
static void answer(pid_t task) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, task, NULL, &registers) < 0) return;
    struct timespec now;
    clock_gettime(registers.orig_rax == SYS_clock_gettime ? (clockid_t)registers.rdi : CLOCK_REALTIME, &now);
    now.tv_sec += *offset;
    struct timeval coarse = {now.tv_sec, now.tv_nsec / 1000};
    static const struct timezone utc;
    long result;
    switch (registers.orig_rax) {
    case SYS_clock_gettime:
        result = give(task, registers.rsi, &now, sizeof now);
        break;
    case SYS_gettimeofday:
        result = give(task, registers.rdi, &coarse, sizeof coarse);
        if (result == 0) result = give(task, registers.rsi, &utc, sizeof utc);
        break;
    case SYS_time:
        result = give(task, registers.rdi, &now.tv_sec, sizeof now.tv_sec);
        if (result == 0) result = now.tv_sec;
        break;
    default:
        return;
    }
    registers.rax = (unsigned long long)result;
    registers.orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, task, NULL, &registers);
}

/* Lets a stopped task go on. A task that was killed meanwhile cannot, which the next wait tells. */
static void resume(pid_t task, int status) {
    int event = status >> 16, signal = WSTOPSIG(status);
    if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
        ptrace(PTRACE_LISTEN, task, NULL, NULL); /* stopped by SIGSTOP and the like: it stays so */
        return;
    }
    if (event == PTRACE_EVENT_EXEC) strike_vdso(task);
    if (event == PTRACE_EVENT_SECCOMP) answer(task);
    ptrace(PTRACE_CONT, task, NULL, (void *)(uintptr_t)(event == 0 ? signal : 0));
}

int main(int count, char **arguments) {
    if (count < 3) {
        fprintf(stderr, "usage: shifted OFFSET-FILE PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    map_offset(arguments[1]);
    program = start(arguments + 2);
    const int asked[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) sigaction(asked[i], &action, NULL);
    for (;;) {
        int status;
        pid_t task = waitpid(-1, &status, __WALL);
        if (task < 0) {
            if (errno == EINTR) continue;
            fail("wait");
        }
        if (WIFSTOPPED(status)) resume(task, status);
        else if (task == program) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}
