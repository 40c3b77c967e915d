/* What this binary was built from. */
#ifndef TRI_BUILD_OF_CLI_H
#define TRI_BUILD_OF_CLI_H

struct tri_build {
    const char *version, *commit; /* commit: "unknown" outside git, with "-dirty" behind it where files differ from it */
    const char *compiler, *flags; /* flags without what names a path */
};

extern const struct tri_build tri_build; /* generated, by commit.cmake */

#endif
