/**
 * A thread in C that takes native calls one after the other, so that JavaScript need not wait for them.
 *
 * Nothing is called back: the thread counts finished calls in the first word of its queue, where JavaScript looks, and writes to an
 * eventfd, its second word, when so many are finished as JavaScript waits for.
 * @module
 */

/** Exports `tnp_queue_open`, `_push`, `_wait`, `_wake`, `_close`, and `_entry`, which gives the addresses of calls into libraries. */
export const cQueue = `#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef long long i64;

#ifdef _OPENMP
void omp_set_num_threads(int);
#endif

typedef struct job {
  struct job *next;
  void (*run)(i64 *);
  i64 *block;
  int threads;
} job;

typedef struct {
  unsigned done; /* finished jobs, modulo 2^32 */
  int descriptor; /* of the eventfd, or -1 */
  int running, stopped;
  int awaited;
  unsigned ticket; /* where somebody waits at the eventfd: for how many finished jobs */
  int threads;
  void (*set_threads)(int);
  job *first, *last;
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  pthread_t thread;
} queue;

/* The queue of this process: JavaScript's main thread has it. */
static queue *opened;
static pid_t owner;

/* Wakes who waits at the eventfd. */
static void wake(queue *q) {
  q->awaited = 0;
  eventfd_write(q->descriptor, 1);
}

static void *work(void *arg) {
  queue *q = arg;
  pthread_mutex_lock(&q->lock);
  for (;;) {
    while (q->first == 0 && !q->stopped) pthread_cond_wait(&q->filled, &q->lock);
    if (q->stopped) break;
    job *j = q->first;
    if ((q->first = j->next) == 0) q->last = 0;
    q->running = 1;
    pthread_mutex_unlock(&q->lock);
    if (j->threads != q->threads) {
      q->threads = j->threads;
#ifdef _OPENMP
      omp_set_num_threads(j->threads);
#endif
      if (q->set_threads) q->set_threads(j->threads);
    }
    j->run(j->block);
    free(j);
    pthread_mutex_lock(&q->lock);
    q->running = 0;
    __atomic_store_n(&q->done, q->done + 1, __ATOMIC_RELEASE);
    if (q->awaited && (int)(q->done - q->ticket) >= 0) wake(q);
    if (q->first == 0) pthread_cond_broadcast(&q->emptied);
  }
  pthread_mutex_unlock(&q->lock);
  return 0;
}

/* A queue with its thread, or 0. set_threads tells an OpenMP library of the calling thread's number of threads; it may be 0. */
queue *tnp_queue_open(void (*set_threads)(int)) {
  queue *q = calloc(1, sizeof(queue));
  if (q == 0) return 0;
  q->set_threads = set_threads;
  q->descriptor = eventfd(0, EFD_CLOEXEC);
  pthread_mutex_init(&q->lock, 0);
  pthread_cond_init(&q->filled, 0);
  pthread_cond_init(&q->emptied, 0);
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 16 << 20);
  /* Signals are for the threads that expect them. */
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&q->thread, &attr, work, q);
  pthread_sigmask(SIG_SETMASK, &before, 0);
  pthread_attr_destroy(&attr);
  if (failed) {
    if (q->descriptor >= 0) close(q->descriptor);
    free(q);
    return 0;
  }
  owner = getpid();
  return opened = q;
}

/* Adds a call; tells whether there was memory for it. */
int tnp_queue_push(queue *q, void (*run)(i64 *), i64 *block, int threads) {
  job *j = malloc(sizeof(job));
  if (j == 0) return 0;
  *j = (job){0, run, block, threads};
  pthread_mutex_lock(&q->lock);
  if (q->last) q->last->next = j;
  else q->first = j;
  q->last = j;
  pthread_cond_signal(&q->filled);
  pthread_mutex_unlock(&q->lock);
  return 1;
}

/* Waits until all calls are finished. */
void tnp_queue_wait(queue *q) {
  pthread_mutex_lock(&q->lock);
  while (q->first || q->running) pthread_cond_wait(&q->emptied, &q->lock);
  pthread_mutex_unlock(&q->lock);
}

/* Has the eventfd written to, once, when so many calls are finished or the queue closes; tells whether that is yet to come. */
int tnp_queue_wake(queue *q, unsigned ticket) {
  pthread_mutex_lock(&q->lock);
  const int coming = !q->stopped && (int)(q->done - ticket) < 0;
  if (coming) {
    if (!q->awaited || (int)(ticket - q->ticket) < 0) q->ticket = ticket;
    q->awaited = 1;
  }
  pthread_mutex_unlock(&q->lock);
  return coming;
}

/* Drops the calls that have not begun, waits for the one that has, and ends the thread. */
void tnp_queue_close(queue *q) {
  if (q == 0 || q != opened || owner != getpid()) return;
  opened = 0;
  pthread_mutex_lock(&q->lock);
  for (job *j = q->first; j;) {
    job *next = j->next;
    free(j);
    j = next;
  }
  q->first = q->last = 0;
  q->stopped = 1;
  if (q->awaited) wake(q);
  pthread_cond_signal(&q->filled);
  pthread_mutex_unlock(&q->lock);
  pthread_join(q->thread, 0);
}

/* A runtime that ends with an error unloads this library, without a word to the program, before it frees memory. */
__attribute__((destructor)) static void unloaded(void) { tnp_queue_close(opened); }

/* A product by CBLAS: function, type (0 to 3: s, d, c, z), transA, transB, m, n, k, a, lda, b, ldb, c, ldc. */
static void gemm(i64 *x) {
  const int row_major = 101, ta = x[2], tb = x[3], m = x[4], n = x[5], k = x[6], lda = x[8], ldb = x[10], ldc = x[12];
  const void *a = (void *)x[7], *b = (void *)x[9];
  void *c = (void *)x[11];
  typedef void single(int, int, int, int, int, int, float, const void *, int, const void *, int, float, void *, int);
  typedef void twice(int, int, int, int, int, int, double, const void *, int, const void *, int, double, void *, int);
  typedef void pair(int, int, int, int, int, int, const void *, const void *, int, const void *, int, const void *,
                    void *, int);
  static const float one_c[2] = {1, 0}, zero_c[2];
  static const double one_z[2] = {1, 0}, zero_z[2];
  switch (x[1]) {
    case 0: return ((single *)x[0])(row_major, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    case 1: return ((twice *)x[0])(row_major, ta, tb, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
    case 2: return ((pair *)x[0])(row_major, ta, tb, m, n, k, one_c, a, lda, b, ldb, zero_c, c, ldc);
    default: return ((pair *)x[0])(row_major, ta, tb, m, n, k, one_z, a, lda, b, ldb, zero_z, c, ldc);
  }
}

/*
 * A primitive of oneDNN: dnnl_memory_set_data_handle, dnnl_primitive_execute, dnnl_stream_wait, primitive, stream, arguments, their
 * count, then the memory object and the address of each. The first status that is not 0 is left in the first word, else 0.
 */
static void dnnl(i64 *x) {
  int (*set)(void *, void *) = (int (*)(void *, void *))x[0];
  int (*execute)(void *, void *, int, void *) = (int (*)(void *, void *, int, void *))x[1];
  int (*wait)(void *) = (int (*)(void *))x[2];
  const int count = x[6];
  int status = 0;
  for (int i = 0; i < count && status == 0; i++) status = set((void *)x[7 + 2 * i], (void *)x[8 + 2 * i]);
  if (status == 0) status = execute((void *)x[3], (void *)x[4], count, (void *)x[5]);
  if (status == 0) status = wait((void *)x[4]);
  x[0] = status;
}

/* The address of the call of a library: 0 for CBLAS, 1 for oneDNN. */
void *tnp_queue_entry(int library) { return library == 0 ? (void *)gemm : (void *)dnnl; }
`;
