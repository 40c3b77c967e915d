/* Owns: HTTP by libcurl, what its failures mean, and when to try again. Leaves out files and their names. */
#define _GNU_SOURCE
#include "hub/transfer.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

typedef unsigned long long ull;

enum {
    TRIES = 5,           /* in a row without news */
    NEWS = 1 << 20,      /* bytes that make a new start of the counting */
    LONGEST_WAIT = 60,   /* seconds */
    CONNECT = 20,        /* seconds */
    BUFFER = 1 << 18,    /* bytes taken at once */
    REDIRECTS = 10,
};

struct tri_hub_link {
    CURL *curl;
    const struct tri_hub_request *request;
    const char *token;
    /* of the attempt under way */
    struct tri_hub_get *get;
    struct tri_error error; /* why we ended it */
    bool begun;             /* the first byte of the answer was looked at */
    ull first, whole;       /* of Content-Range */
    bool ranged;
};

/* -- what an answer promises ----------------------------------------------- */

static size_t take_header(char *line, size_t one, size_t size, void *arg)
{
    static const char range[] = "content-range: bytes ";
    struct tri_hub_link *l = arg;
    char text[96];
    (void)one;
    if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0)
        l->ranged = false;
    if (size < sizeof range || size >= sizeof text || strncasecmp(line, range, sizeof range - 1) != 0)
        return size;
    memcpy(text, line, size);
    text[size] = 0;
    l->ranged = sscanf(text + sizeof range - 1, "%llu-%*u/%llu", &l->first, &l->whole) == 2;
    return size;
}

static enum tri_status other_size(struct tri_hub_link *l, ull found)
{
    return tri_fail(&l->error, TRI_WRONG, "%s: expected %lld bytes, as the hub lists it, found %llu; nothing of it was "
                    "kept; try again later, or tell the hub", l->get->url, (long long)l->get->size, found);
}

/* Where the body begins, and whether its size is the listed one. */
static enum tri_status begin(struct tri_hub_link *l, long code)
{
    struct tri_hub_get *g = l->get;
    curl_off_t length = -1;
    l->begun = true;
    if (code == 206 && (!l->ranged || l->first != g->from))
        return tri_fail(&l->error, TRI_FAILED, "%s: expected bytes from %llu on, found others; try again", g->url,
                        (ull)g->from);
    if (code != 206)
        g->from = 0;
    curl_easy_getinfo(l->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    const ull whole = code == 206 ? l->whole : (ull)length;
    const bool told = code == 206 || length >= 0;
    return told && g->size >= 0 && whole != (ull)g->size ? other_size(l, whole) : TRI_OK;
}

static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
    struct tri_hub_link *l = arg;
    struct tri_hub_get *g = l->get;
    long code = 0;
    (void)one;
    curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code < 200 || code > 299)
        return size; /* a page about the failure */
    if (!l->begun && begin(l, code) != TRI_OK)
        return 0;
    if (g->size >= 0 && g->from + size > (ull)g->size) {
        other_size(l, g->from + size);
        return 0;
    }
    if (g->put(g->arg, g->from, bytes, size, &l->error) != TRI_OK)
        return 0;
    g->from += size;
    return size;
}

static bool stopped(const struct tri_hub_link *l)
{
    return l->request->stop && l->request->stop();
}

static int take_pulse(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return stopped(arg);
}

/* -- one attempt ----------------------------------------------------------- */

static CURLcode attempt(struct tri_hub_link *l, char *reason)
{
    char range[32];
    snprintf(range, sizeof range, "%llu-", (ull)l->get->from);
    l->error.status = TRI_OK;
    l->begun = l->ranged = false;
    reason[0] = 0;
    curl_easy_setopt(l->curl, CURLOPT_URL, l->get->url);
    curl_easy_setopt(l->curl, CURLOPT_RANGE, l->get->from ? range : NULL);
    curl_easy_setopt(l->curl, CURLOPT_ERRORBUFFER, reason);
    const CURLcode code = curl_easy_perform(l->curl);
    curl_easy_setopt(l->curl, CURLOPT_ERRORBUFFER, NULL);
    return code;
}

/* What a person can do about an answer; by code, then by first digit. */
static const struct advice {
    long code;
    const char *text;
} advices[] = {
    {401, "there is no such repository, or it is private or gated: check its name, accept its conditions on its "
          "page if it has some, and set HF_TOKEN to a token that may read it"},
    {403, "it is gated: accept its conditions on its page, and set HF_TOKEN to a token of the account that did"},
    {404, "check the names of owner, repository, revision and file"},
    {416, "the hub's file is another now; run the command again"},
    {429, "too many requests: wait a few minutes, or set HF_TOKEN"},
    {4, "the hub refuses; check HF_ENDPOINT"},
    {5, "the hub is in trouble: try again later; what was downloaded is kept"},
    {3, "expected the file behind a redirection, found none; check HF_ENDPOINT"},
};

static const char *advise(const struct tri_hub_link *l, long code)
{
    if (code == 401 && l->token)
        return "HF_TOKEN is not accepted, or may not read this repository: check both";
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
        if (advices[i].code == code || advices[i].code == code / 100)
            return advices[i].text;
    return "that is no answer to a download; check HF_ENDPOINT";
}

static enum tri_status explain(const struct tri_hub_link *l, CURLcode code, long http, const char *reason,
                               struct tri_error *e)
{
    if (stopped(l))
        return tri_fail(e, TRI_INTERRUPTED, "interrupted; run the command again to go on");
    if (l->error.status != TRI_OK) {
        *e = l->error;
        return e->status;
    }
    if (http >= 300 && (code == CURLE_OK || code == CURLE_PARTIAL_FILE))
        return tri_fail(e, TRI_FAILED, "%s: HTTP %ld: %s", l->get->url, http, advise(l, http));
    return tri_fail(e, TRI_FAILED, "%s: %s; check the network and HF_ENDPOINT and run the command again, which goes on "
                    "where it was, or with --offline take what is here", l->get->url,
                    reason[0] ? reason : curl_easy_strerror(code));
}

/* -- patience -------------------------------------------------------------- */

static bool passing(CURLcode code, long http, bool begun)
{
    switch (code) {
    case CURLE_OK:
        return http == 429 || http == 500 || http == 502 || http == 503 || http == 504;
    case CURLE_PARTIAL_FILE: case CURLE_RECV_ERROR: case CURLE_SEND_ERROR: case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT: case CURLE_HTTP2: case CURLE_HTTP2_STREAM:
        return true;
    case CURLE_COULDNT_CONNECT: case CURLE_COULDNT_RESOLVE_HOST: case CURLE_SSL_CONNECT_ERROR:
        return begun; /* it has worked before */
    default:
        return false;
    }
}

/* Half a second, then ever twice as long, or what the server asks for. False: longer than a person waits, or
 * stopped. */
static bool wait_before(struct tri_hub_link *l, int tries)
{
    curl_off_t asked = 0;
    curl_easy_getinfo(l->curl, CURLINFO_RETRY_AFTER, &asked);
    const double seconds = asked > 0 ? (double)asked : 0.25 * (double)(1 << tries);
    if (asked > LONGEST_WAIT)
        return false;
    for (const double until = tri_now() + seconds; tri_now() < until && !stopped(l);)
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    return !stopped(l);
}

static bool complete(const struct tri_hub_get *g)
{
    return g->size < 0 || g->from == (ull)g->size;
}

enum tri_status tri_hub_get(struct tri_hub_link *l, struct tri_hub_get *g, struct tri_error *e)
{
    const uint64_t start = g->from;
    char reason[CURL_ERROR_SIZE];
    l->get = g;
    for (int tries = 1;; tries++) {
        const uint64_t before = g->from;
        long http = 0;
        if (g->size < 0)
            g->from = 0;
        CURLcode code = attempt(l, reason);
        curl_easy_getinfo(l->curl, CURLINFO_RESPONSE_CODE, &http);
        if (code == CURLE_OK && http >= 200 && http < 300) {
            if (complete(g))
                return TRI_OK;
            code = CURLE_PARTIAL_FILE;
        }
        if (g->from > before + NEWS)
            tries = 0;
        if (tries >= TRIES || l->error.status != TRI_OK || !passing(code, http, g->from > start) ||
            !wait_before(l, tries))
            return explain(l, code, http, reason, e);
    }
}

/* -- the link -------------------------------------------------------------- */

/* A token is the hub's own: curl does not send it on to another host or port. What began encrypted stays so. */
static void prepare(struct tri_hub_link *l)
{
    const char *endpoint = getenv("HF_ENDPOINT");
    const bool plain = endpoint && strncmp(endpoint, "http://", 7) == 0;
    CURL *c = l->curl;
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, (long)BUFFER);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "tritune");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(plain ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)l->request->stall);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, l);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, l);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, take_pulse);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, l);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    if (!l->token)
        return;
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, l->token);
}

struct tri_hub_link *tri_hub_link_new(const struct tri_hub_request *r, struct tri_error *e)
{
    static const char printable[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~+/=";
    const char *token = getenv("HF_TOKEN");
    if (token && token[strspn(token, printable)]) {
        tri_fail(e, TRI_USAGE, "variable HF_TOKEN: expected letters and digits, found something else in it");
        return NULL;
    }
    struct tri_hub_link *l = calloc(1, sizeof *l);
    if (l && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && (l->curl = curl_easy_init())) {
        l->request = r;
        l->token = token && *token ? token : NULL;
        prepare(l);
        return l;
    }
    free(l);
    tri_fail(e, TRI_NO_MEMORY, "no memory for a connection");
    return NULL;
}

void tri_hub_link_free(struct tri_hub_link *l)
{
    if (!l)
        return;
    curl_easy_cleanup(l->curl);
    curl_global_cleanup();
    free(l);
}
