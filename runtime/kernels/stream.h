/* Reading memory as fast as a core can, and nothing else: what bounds every kernel whose weights stream past. */
#ifndef TRI_STREAM_H
#define TRI_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* Ways to read a span: which of them is faster differs from core to core. Loads of 16 bytes take up to some 100 GB/s a
 * core, more than any kernel does its arithmetic with. */
enum tri_streams { TRI_STREAM_ONE, TRI_STREAM_FOUR, TRI_STREAMS };

/* Reads `bytes` bytes from p, 16-byte aligned, prefetching 2 KiB ahead. Returns the exclusive or of their words of eight
 * bytes (the last filled up with zeros), so that no load can be left out: the same whatever the way. */
uint64_t tri_stream_read(const uint8_t *p, size_t bytes, enum tri_streams streams);

#endif
