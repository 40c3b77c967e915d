/* Damaged receipts of tritune bench: read, held against themselves, and their options taken. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "cli/receipt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error e = {0};
    char *words[TRI_RECEIPT_WORDS];
    int count;
    json_t *receipt = tri_receipt_parse((const char *)data, size, "fuzz", &e);
    if (!receipt) {
        fuzz_expect_reason(&e);
        return 0;
    }
    if (tri_receipt_check(receipt, &e) != TRI_OK && !e.text[0])
        fuzz_die("refused without a reason", "receipt");
    if (tri_receipt_options(receipt, words, &count, &e) != TRI_OK)
        fuzz_expect_reason(&e);
    json_decref(receipt);
    return 0;
}

/* Of a short run. */
void fuzz_seeds(void)
{
    char path[] = "/tmp/tri_fuzz_XXXXXX";
    char *argv[] = {"bench", "-p", "4", "-n", "2", "-r", "1", "-t", "1", "--report", path, NULL};
    struct tri_error e = {0};
    const int file = mkstemp(path), out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    if (tri_command_bench.run(11, argv, &e) != TRI_OK)
        fuzz_die(e.text, "receipt");
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    fuzz_add_file(path);
    remove(path);
    close(file), close(out), close(null);
}
