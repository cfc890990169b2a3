// A program that tries what its first argument says: well-behaved things, and attacks on the sandbox.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int is(const char *what, const char *name) { return strcmp(what, name) == 0; }

// Says how a call went: "ok" or the error's name.
static int report(long result) {
    puts(result >= 0 ? "ok" : strerrorname_np(errno));
    return 0;
}

static int spin(double seconds) {
    struct timespec start, now;
    volatile unsigned long count = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    do {
        for (int i = 0; i < 100000; i++) count++;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while ((now.tv_sec - start.tv_sec) + (now.tv_nsec - start.tv_nsec) * 1e-9 < seconds);
    return 0;
}

static int recurse(int depth) {
    volatile char space[1024];
    space[0] = (char)depth;
    return (space[0] == (char)depth ? recurse(depth + 1) : 0) + space[0];
}

static int flood(int descriptor, long bytes) {
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    while (bytes > 0) {
        long wanted = bytes < (long)sizeof block ? bytes : (long)sizeof block;
        long written = write(descriptor, block, wanted);
        if (written < 0) return 5;
        bytes -= written;
    }
    return 0;
}

static void *count_up(void *sum) {
    for (int i = 0; i < 1000; i++) __atomic_fetch_add((long *)sum, 1, __ATOMIC_RELAXED);
    return NULL;
}

static int threads(int number) {
    pthread_t all[256];
    long sum = 0;
    int started = 0;
    while (started < number && pthread_create(&all[started], NULL, count_up, &sum) == 0) started++;
    for (int i = 0; i < started; i++) pthread_join(all[i], NULL);
    printf("%d %ld\n", started, sum);
    return 0;
}

static int behave(const char *what, char **rest) {
    const char *text = rest[0];
    if (is(what, "exit")) return atoi(text);
    if (is(what, "echo")) {
        for (int c; (c = getchar()) != EOF;) putchar(c);
        return 0;
    }
    if (is(what, "arguments")) {
        for (int i = 0; rest[i]; i++) puts(rest[i]);
        return 0;
    }
    if (is(what, "environment")) {
        for (char **variable = environ; *variable; variable++) puts(*variable);
        return 0;
    }
    if (is(what, "directory")) return puts(getcwd(NULL, 0)) < 0;
    if (is(what, "abort")) abort();
    if (is(what, "segfault")) return *(volatile int *)16;
    if (is(what, "raise")) return raise(atoi(text));
    if (is(what, "recurse")) return recurse(0);
    if (is(what, "spin")) return spin(atof(text));
    if (is(what, "spin-stubborn")) {
        signal(SIGXCPU, SIG_IGN);
        return spin(atof(text));
    }
    if (is(what, "sleep")) return sleep(atoi(text));
    if (is(what, "threads")) return threads(atoi(text));
    if (is(what, "memory")) {
        size_t size = (size_t)atol(text) << 20;
        volatile char *memory = malloc(size);
        if (!memory) return puts("none") < 0;
        for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
        return puts("some") < 0;
    }
    if (is(what, "addresses")) {
        int local;
        printf("%p %p %p %p\n", (void *)environ, (void *)&local, (void *)&environ, malloc(1));
        return 0;
    }
    if (is(what, "flood")) return flood(atoi(text), atol(rest[1]));
    if (is(what, "flood-stubborn")) {
        signal(SIGXFSZ, SIG_IGN);
        return flood(atoi(text), atol(rest[1]));
    }
    return -1;
}

static int attack_files(const char *what, const char *text) {
    if (is(what, "open")) return report(open(text, O_RDONLY));
    if (is(what, "list")) {
        DIR *folder = opendir(text);
        if (!folder) return report(-1);
        for (struct dirent *entry; (entry = readdir(folder));) puts(entry->d_name);
        return 0;
    }
    if (is(what, "write")) return report(open(text, O_WRONLY | O_CREAT, 0600));
    if (is(what, "write-existing")) return report(open(text, O_WRONLY));
    if (is(what, "truncate")) return report(truncate(text, 0));
    if (is(what, "symlink")) return report(symlink("/etc/passwd", text));
    if (is(what, "link")) return report(link("/etc/passwd", text));
    if (is(what, "mkdir")) return report(mkdir(text, 0700));
    if (is(what, "unlink")) return report(unlink(text));
    if (is(what, "chmod")) return report(chmod(text, 0777));
    if (is(what, "print")) {
        FILE *file = fopen(text, "r");
        if (!file) return report(-1);
        for (int c; (c = getc(file)) != EOF;) putchar(c);
        return 0;
    }
    if (is(what, "descriptors")) {
        struct stat about;
        for (int i = 3; i < 4096; i++)
            if (fstat(i, &about) == 0) printf("%d\n", i);
        return 0;
    }
    if (is(what, "change-input")) {
        report(ftruncate(0, 0));
        report(write(0, "changed", 7));
        report(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, 0, 0) == MAP_FAILED ? -1 : 0);
        return 0;
    }
    return -1;
}

static int attack_processes(const char *what, const char *text) {
    if (is(what, "fork")) {
        for (;;) fork();
    }
    if (is(what, "daemon")) {
        if (fork() == 0) {
            setsid();
            if (fork() == 0) sleep(1000);
            _exit(0);
        }
        return 0;
    }
    if (is(what, "system")) return report(system("true"));
    if (is(what, "execute")) return report(execl(text, text, "exit", "3", NULL));
    // Signal 0 only asks whether it could be done.
    if (is(what, "kill")) return report(kill(atoi(text), 0));
    if (is(what, "kill-parent")) return report(kill(getppid(), SIGKILL));
    if (is(what, "kill-all")) return report(kill(-1, 0));
    if (is(what, "kill-itself")) return report(kill(getpid(), SIGTERM));
    if (is(what, "signal-by-pipe")) {
        int ends[2];
        if (pipe(ends) < 0) return 9;
        return report(fcntl(ends[0], F_SETOWN, atoi(text)));
    }
    if (is(what, "trace")) return report(ptrace(PTRACE_ATTACH, atoi(text), 0, 0));
    if (is(what, "memory-of")) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%s/mem", text);
        return report(open(path, O_RDONLY));
    }
    return -1;
}

static int attack_kernel(const char *what, const char *text) {
    if (is(what, "socket")) return report(socket(AF_INET, SOCK_STREAM, 0));
    if (is(what, "connect")) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(text))};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        if (descriptor < 0) return report(descriptor);
        return report(connect(descriptor, (struct sockaddr *)&address, sizeof address));
    }
    if (is(what, "personality")) return report(personality(ADDR_NO_RANDOMIZE));
    if (is(what, "unshare")) return report(syscall(SYS_unshare, 0x10000000));
    if (is(what, "shared-memory")) return report(syscall(SYS_shmget, 1, 4096, 01600));
    if (is(what, "unknown-call")) return report(syscall(100000));
    if (is(what, "swap")) return report(syscall(SYS_swapoff, "/none"));
    if (is(what, "raise-limit")) {
        errno = 0;
        return report(syscall(SYS_prlimit64, 1, 0, NULL, NULL));
    }
#ifdef __x86_64__
    if (is(what, "x32")) return report(syscall(0x40000000 | SYS_getpid));
#endif
    return -1;
}

int main(int count, char **values) {
    if (count < 2) return 100;
    int result = behave(values[1], values + 2);
    if (result == -1) result = attack_files(values[1], values[2]);
    if (result == -1) result = attack_processes(values[1], values[2]);
    if (result == -1) result = attack_kernel(values[1], values[2]);
    return result == -1 ? 101 : result;
}
