/* The clock that everything is timed by. */
#ifndef TRI_CLOCK_H
#define TRI_CLOCK_H

/* Seconds since some moment, never backwards. */
double tri_now(void);

#endif
