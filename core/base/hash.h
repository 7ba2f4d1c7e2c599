/* hash.h -- the one hash function of the project: XXH3-64 of libxxhash.
 *
 * Used for the log's checksums, the state's digest and the hash tables.  It is not
 * cryptographic: tables that hold clients' keys give it a seed drawn at start. */
#ifndef CORE_BASE_HASH_H
#define CORE_BASE_HASH_H

#include <stdint.h>

#include "core/base/bytes.h"

uint64_t hash_bytes(struct bytes s, uint64_t seed);
uint64_t hash_u64(uint64_t v, uint64_t seed);

#endif
