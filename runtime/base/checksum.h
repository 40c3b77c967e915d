/* Checksums of what is in memory or goes to a file: against damage, not against forgery. */
#ifndef TRI_CHECKSUM_H
#define TRI_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Of `size` bytes, and zeros up to a multiple of eight, behind others with checksum `before` (0: none). The same on
 * every machine. A change within one aligned word of eight bytes is always noticed, others but for one in 2^64. */
uint64_t tri_checksum(uint64_t before, const void *bytes, size_t size);

#endif
