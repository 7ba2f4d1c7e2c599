/* check.h -- how the code states what must be true, and stops when it is not.
 *
 * CHECK is for our own mistakes only and stays on in release builds: a coordination
 * service that goes on from a broken state does more harm than one that restarts.  What
 * the world may do wrong (disk, network, peer, client, script) is an error code instead.
 * One fact a CHECK, stated positively. */
#ifndef CORE_BASE_CHECK_H
#define CORE_BASE_CHECK_H

/* Prints where and what to stderr and aborts.  Never returns. */
_Noreturn void check_failed(const char *file, int line, const char *fact);

#define CHECK(fact) ((fact) ? (void) 0 : check_failed(__FILE__, __LINE__, #fact))

/* Both a true and a false value are legal here; says so to the reader. */
#define MAYBE(fact) ((void) (fact))

#define IMPLIES(a, b) (!(a) || (b))

#define CONTAINER_OF(ptr, type, member) ((type *) ((char *) (ptr) - offsetof(type, member)))

#endif
