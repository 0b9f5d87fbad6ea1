/* Tells ThreadSanitizer about the locks of Rust's standard library.
 *
 * The library is compiled for ThreadSanitizer, the standard library under it is not. What of that is inlined is seen:
 * a lock that is free. A lock that has to be waited for, and waiting for a condition, happen out of sight; the linker leads
 * them through here (--wrap). The names come from the test, because they differ from one compiler to the next.
 */
#include <stdbool.h>
#include <stdint.h>

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

bool REAL(WAIT_TIMEOUT)(void *condition, void *mutex, uint64_t seconds, uint32_t nanoseconds);

bool WRAP(WAIT_TIMEOUT)(void *condition, void *mutex, uint64_t seconds, uint32_t nanoseconds)
{
    __tsan_release(mutex);
    bool result = REAL(WAIT_TIMEOUT)(condition, mutex, seconds, nanoseconds);
    __tsan_acquire(mutex);
    return result;
}
