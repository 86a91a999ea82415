// double burst(int threads, long rounds): GFLOP/s of a burst of f32 multiply-adds in registers, on `threads` pinned threads.
// double round_trip_ns(void): nanoseconds in which a cache line goes from the first processor to the second and back.
// Built by gate.py: cc -O3 -march=native -ffp-contract=fast -shared -fPIC -pthread canary.c
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#define CHAINS 10
#define MOST 256
typedef float vec __attribute__((vector_size(32)));

static long todo;
static volatile float sink[MOST];
static pthread_barrier_t gate;

static float multiply_add(long rounds) {
    vec a[CHAINS];
    vec factor = {.75f, .75f, .75f, .75f, .75f, .75f, .75f, .75f};
    vec add = factor / 3;
    for (int i = 0; i < CHAINS; i++) a[i] = factor + (float)i;
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * factor + add;
        __asm__ volatile("");  // Keeps one round from being merged with the next.
    }
    float sum = 0;
    for (int i = 0; i < CHAINS; i++) sum += a[i][0];
    return sum;
}

// Thread number n goes to the n-th processor that this process may use.
static void pin(int n) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && n-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
            return;
        }
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static double took[MOST];

static void *work(void *number) {
    int n = (int)(intptr_t)number;
    pin(n);
    sink[n] = multiply_add(todo / 8);
    pthread_barrier_wait(&gate);
    double start = seconds();
    sink[n] = multiply_add(todo);
    took[n] = seconds() - start;
    return 0;
}

double burst(int threads, long rounds) {
    pthread_t thread[MOST];
    if (threads > MOST) threads = MOST;
    todo = rounds;
    pthread_barrier_init(&gate, 0, threads);
    for (intptr_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], 0, work, (void *)i)) return -1;
    double rate = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], 0);
        rate += 2.0 * 8 * CHAINS * rounds / took[i] / 1e9;
    }
    pthread_barrier_destroy(&gate);
    return rate;
}

#define TRIPS 2000
static _Atomic int turn;
static double trip_ns;

static void *hand_over(void *number) {
    int side = (int)(intptr_t)number;
    pin(side);
    double start = 0;
    for (int trip = 0; trip < TRIPS + TRIPS / 4; trip++) {
        if (trip == TRIPS / 4) start = seconds();
        while (atomic_load(&turn) != 2 * trip + side) {}
        atomic_store(&turn, 2 * trip + side + 1);
    }
    if (side == 0) trip_ns = (seconds() - start) * 1e9 / TRIPS;
    return 0;
}

double round_trip_ns(void) {
    pthread_t thread[2];
    atomic_store(&turn, 0);
    for (intptr_t i = 0; i < 2; i++)
        if (pthread_create(&thread[i], 0, hand_over, (void *)i)) return -1;
    for (int i = 0; i < 2; i++) pthread_join(thread[i], 0);
    return trip_ns;
}
