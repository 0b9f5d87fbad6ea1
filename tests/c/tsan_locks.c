/* Tells ThreadSanitizer about the locks of Rust's standard library.
 *
 * The library is compiled for ThreadSanitizer, the standard library under it is not. What of that is inlined is seen:
 * a lock that is free. Waiting for a lock is not seen, nor is a condition variable, which unlocks and locks; the linker leads
 * both through here (--wrap). The names come from the test, because they differ from one compiler to the next.
 */
void __tsan_acquire(void *address);
void __tsan_release(void *address);

#define JOIN(a, b) a##b
#define REAL(name) JOIN(__real_, name)
#define WRAP(name) JOIN(__wrap_, name)

void REAL(LOCK_CONTENDED)(void *mutex);

void WRAP(LOCK_CONTENDED)(void *mutex)
{
    REAL(LOCK_CONTENDED)(mutex);
    __tsan_acquire(mutex);
}

void REAL(CONDVAR_WAIT)(void *condvar, void *mutex);

void WRAP(CONDVAR_WAIT)(void *condvar, void *mutex)
{
    __tsan_release(mutex);
    REAL(CONDVAR_WAIT)(condvar, mutex);
    __tsan_acquire(mutex);
}
