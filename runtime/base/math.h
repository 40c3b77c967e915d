/* Elementary functions of our own, so that results do not depend on a libm: plain double arithmetic in a
 * written order, within 2 ulp of double for the arguments the engine has. */
#ifndef TRI_MATH_H
#define TRI_MATH_H

double tri_exp(double x);                      /* 0 below -708, infinity above 709.78 */
double tri_log(double x);                      /* x > 0, normal */
double tri_pow(double x, double y);            /* x > 0: exp(y log x) */
void tri_sincos(double x, double *sin, double *cos); /* |x| <= 1e6 */

#endif
