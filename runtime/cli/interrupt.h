/* Ctrl-C for commands that have something to finish: after tri_catch_interrupt the first one only
 * makes tri_interrupted true, to be asked between two steps; a second one ends the program. */
#ifndef TRI_INTERRUPT_H
#define TRI_INTERRUPT_H

#include "base/error.h"

#include <stdbool.h>

void tri_catch_interrupt(void);
void tri_release_interrupt(void); /* forgets one that came; from here on the first one ends the program */
bool tri_interrupted(void);

/* TRI_INTERRUPTED with its sentence. */
enum tri_status tri_fail_interrupted(struct tri_error *e);

#endif
