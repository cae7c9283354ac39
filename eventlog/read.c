/* eventlog/read.c -- see read.h.
 *
 * One machine that takes a byte at a time finds where the pieces of a stream begin and end: an
 * <Event>...</Event> (CDATA and comments are looked through, so no text can end one early), a JSON
 * value at the top or in an array at the top, or a line. What a piece holds is the parsers'
 * business.
 *
 *   BETWEEN   blanks, commas, brackets of an array, an XML declaration: skipped
 *   XML       from "<Event" to "</Event>"
 *   JSON      from '{' to its '}'
 *   LINE      everything else, such as the rest of a line that Samba cut: up to the newline
 *
 * A JSON object that breaks off (a line cut by a crash) would swallow all that follows: a line that
 * begins with '{' in the first column while one is open ends it, as bad.
 */
#include "eventlog/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "eventlog/line.h"
#include "eventlog/samba.h"

enum state { BETWEEN, TAG, SKIP_TAG, XML, JSON, LINE };
enum encoding { UNKNOWN, UTF8, UTF16LE, UTF16BE };

struct evlog_read {
    evlog_event_cb on_event;
    evlog_bad_cb on_bad;
    void *arg;
    struct evlog_samba *samba;
    uint64_t events, bad, line, begun_at;

    enum encoding encoding;
    unsigned char unit[4]; /* bytes of a UTF-16 character, or of the BOM, that are not whole yet */
    unsigned units;

    enum state state;
    struct text piece;
    unsigned depth; /* of JSON braces and brackets */
    bool in_string, escaped;
    bool too_big;    /* this piece is being skipped */
    bool line_start; /* nothing on this line yet */
    bool in_cdata, in_comment;
    bool indent; /* a LINE of blanks so far */
};

static void on_samba_event(void *arg, const struct evlog_event *ev, const struct evlog_pos *pos);

int evlog_read_new(evlog_event_cb on_event, evlog_bad_cb on_bad, void *arg,
                   struct evlog_read **ret_read, struct err *e)
{
    struct evlog_read *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return err_set(e, ERR_NOMEM, 0, "reading events");
    r->on_event = on_event;
    r->on_bad = on_bad;
    r->arg = arg;
    r->line = 1;
    r->line_start = true;
    text_init(&r->piece, EVLOG_READ_MAX);
    if (evlog_samba_new(/* hold_ms */ 0, on_samba_event, r, &r->samba, e) < 0) {
        evlog_read_free(r);
        return -1;
    }
    *ret_read = r;
    return 0;
}

void evlog_read_free(struct evlog_read *r)
{
    if (r == NULL)
        return;
    evlog_samba_free(r->samba);
    text_done(&r->piece);
    free(r);
}

void evlog_read_freep(struct evlog_read **r)
{
    evlog_read_free(*r);
}

uint64_t evlog_read_events(const struct evlog_read *r)
{
    return r->events;
}

uint64_t evlog_read_bad(const struct evlog_read *r)
{
    return r->bad;
}

/* --- pieces
 * --------------------------------------------------------------------------------------- */

static void on_event(void *arg, const struct evlog_event *ev)
{
    struct evlog_read *r = arg;

    r->events++;
    r->on_event(r->arg, ev);
}

static void on_samba_event(void *arg, const struct evlog_event *ev, const struct evlog_pos *pos)
{
    (void)pos;
    on_event(arg, ev);
}

static void bad(struct evlog_read *r, const struct err *e)
{
    r->bad++;
    if (r->on_bad != NULL)
        r->on_bad(r->arg, r->begun_at, e);
}

static bool is_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t\r,[]", s[i]) == NULL || s[i] == '\0')
            return false;
    return true;
}

/* "Record 17", which evtx_dump writes before each of its objects. */
static bool is_heading(const char *s, size_t n)
{
    static const char word[] = "Record ";

    if (n < sizeof(word) || memcmp(s, word, sizeof(word) - 1) != 0)
        return false;
    for (size_t i = sizeof(word) - 1; i < n; i++)
        if ((s[i] < '0' || s[i] > '9') && s[i] != '\r')
            return false;
    return true;
}

static void end_piece(struct evlog_read *r, bool whole)
{
    const struct evlog_pos nowhere = {0};
    enum state was = r->state;
    const char *s = r->piece.s;
    size_t n = r->piece.len;
    struct err e = ERR_NONE;
    int rc = 0;

    r->state = BETWEEN;
    r->depth = 0;
    r->in_string = r->escaped = r->in_cdata = r->in_comment = false;
    if (r->too_big) {
        rc = err_set(&e, ERR_TOOBIG, 0, "a piece of more than %d bytes", EVLOG_READ_MAX);
    } else if (was == JSON && evlog_samba_is(s, n)) {
        rc = evlog_samba_line(r->samba, s, n, &nowhere, /* now */ 0, &e);
    } else if (was == JSON || was == XML) {
        rc = whole ? evlog_line_parse(s, n, on_event, r, &e)
                   : err_set(&e, ERR_INVALID, 0, "an event that breaks off");
    } else if (!is_blank(s, n) && !is_heading(s, n)) {
        while (n > 0 && s[n - 1] == '\r')
            n--;
        /* No clock here: what has no commit waits for the end, or for its place. */
        rc = evlog_line_is_samba(s, n) ? evlog_samba_line(r->samba, s, n, &nowhere, 0, &e)
                                       : evlog_line_parse(s, n, on_event, r, &e);
    }
    text_clear(&r->piece);
    r->too_big = false;
    if (rc < 0)
        bad(r, &e);
}

static void add(struct evlog_read *r, char c)
{
    if (r->too_big)
        return;
    text_addc(&r->piece, c);
    if (r->piece.failed) {
        text_clear(&r->piece);
        r->too_big = true;
    }
}

static void begin(struct evlog_read *r, enum state state, char c)
{
    r->state = state;
    r->begun_at = r->line;
    add(r, c);
}

static bool ends_with(const struct text *t, const char *s)
{
    size_t n = strlen(s);

    return t->len >= n && memcmp(t->s + t->len - n, s, n) == 0;
}

/* '<' was seen between events: is this an Event, or something around them? */
static void take_tag(struct evlog_read *r, char c)
{
    static const char event[] = "<Event";
    const struct text *t = &r->piece;

    if (t->len < sizeof(event) - 1 && c == event[t->len]) {
        add(r, c);
        return;
    }
    if (t->len == sizeof(event) - 1 && strchr(" \t\r\n/>", c) != NULL && c != '\0') {
        add(r, c);
        r->state = XML;
        return;
    }
    r->state = SKIP_TAG;
    text_clear(&r->piece);
    if (c == '>')
        r->state = BETWEEN;
}

static void take_xml(struct evlog_read *r, char c)
{
    const struct text *t = &r->piece;

    if (r->too_big) {
        /* Only its end matters now, and that needs a memory of its own. */
        static const char end[] = "</Event>";

        r->depth = c == end[r->depth] ? r->depth + 1 : c == '<' ? 1 : 0;
        if (r->depth == sizeof(end) - 1)
            end_piece(r, true);
        return;
    }
    add(r, c);
    if (r->too_big) {
        r->depth = 0;
        return;
    }
    if (r->in_cdata) {
        r->in_cdata = !(c == '>' && ends_with(t, "]]>"));
    } else if (r->in_comment) {
        r->in_comment = !(c == '>' && ends_with(t, "-->"));
    } else if (c == '[' && ends_with(t, "<![CDATA[")) {
        r->in_cdata = true;
    } else if (c == '-' && ends_with(t, "<!--")) {
        r->in_comment = true;
    } else if (c == '>' && ends_with(t, "</Event>")) {
        end_piece(r, true);
    }
}

static void take_json(struct evlog_read *r, char c)
{
    if (c == '{' && r->line_start && r->depth > 0) {
        end_piece(r, false);
        begin(r, JSON, c);
        r->depth = 1;
        return;
    }
    /* Samba's never go over a line, but may be cut by its end; and no string of JSON does. */
    if (c == '\n' && (r->in_string || (!r->too_big && evlog_samba_is(r->piece.s, r->piece.len)))) {
        end_piece(r, false);
        return;
    }
    add(r, c);
    if (r->in_string) {
        if (r->escaped)
            r->escaped = false;
        else if (c == '\\')
            r->escaped = true;
        else if (c == '"')
            r->in_string = false;
        return;
    }
    if (c == '"')
        r->in_string = true;
    else if (c == '{' || c == '[')
        r->depth++;
    else if ((c == '}' || c == ']') && --r->depth == 0)
        end_piece(r, true);
}

static void take(struct evlog_read *r, char c)
{
    switch (r->state) {
    case BETWEEN:
        if (c == ' ' && r->line_start) {
            r->indent = true;
            begin(r, LINE, c); /* perhaps the rest of a line of Samba's: the blanks tell */
        } else if (c == '<') {
            begin(r, TAG, c);
        } else if (c == '{') {
            begin(r, JSON, c);
            r->depth = 1;
        } else if (strchr(" \t\r\n,[]", c) == NULL || c == '\0') {
            r->indent = false;
            begin(r, LINE, c);
        }
        break;
    case TAG:
        take_tag(r, c);
        break;
    case SKIP_TAG:
        if (c == '>')
            r->state = BETWEEN;
        break;
    case XML:
        take_xml(r, c);
        break;
    case JSON:
        take_json(r, c);
        break;
    case LINE:
        if (c == '\n') {
            end_piece(r, true);
        } else if (r->indent && (c == '<' || c == '{') && !evlog_samba_waits(r->samba, 0)) {
            /* Indented, and not the rest of a line of Samba's, which may begin with anything. */
            text_clear(&r->piece);
            begin(r, c == '<' ? TAG : JSON, c);
            r->depth = c == '{' ? 1 : 0;
        } else {
            r->indent = r->indent && (c == ' ' || c == '\t');
            add(r, c);
        }
        break;
    }
    if (c == '\n') {
        r->line++;
        r->line_start = true;
    } else {
        r->line_start = false;
    }
}

/* --- bytes
 * ---------------------------------------------------------------------------------------- */

static void take_character(struct evlog_read *r, uint32_t c)
{
    if (c < 0x80) {
        take(r, (char)c);
    } else if (c < 0x800) {
        take(r, (char)(0xc0 | c >> 6));
        take(r, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        take(r, (char)(0xe0 | c >> 12));
        take(r, (char)(0x80 | (c >> 6 & 0x3f)));
        take(r, (char)(0x80 | (c & 0x3f)));
    } else {
        take(r, (char)(0xf0 | c >> 18));
        take(r, (char)(0x80 | (c >> 12 & 0x3f)));
        take(r, (char)(0x80 | (c >> 6 & 0x3f)));
        take(r, (char)(0x80 | (c & 0x3f)));
    }
}

static uint32_t utf16_unit(const struct evlog_read *r, unsigned at)
{
    unsigned lo = r->encoding == UTF16LE ? 0 : 1;

    return (uint32_t)r->unit[at + lo] | (uint32_t)r->unit[at + 1 - lo] << 8;
}

static void take_utf16(struct evlog_read *r, unsigned char b)
{
    uint32_t high, low;

    r->unit[r->units++] = b;
    if (r->units < 2)
        return;
    high = utf16_unit(r, 0);
    if (r->units == 2 && (high < 0xd800 || high > 0xdfff)) {
        r->units = 0;
        take_character(r, high);
    } else if (r->units == 2 && high >= 0xdc00) {
        r->units = 0;
        take_character(r, 0xfffd); /* half a pair */
    } else if (r->units == 4) {
        low = utf16_unit(r, 2);
        r->units = 0;
        take_character(r, low < 0xdc00 || low > 0xdfff
                              ? 0xfffd
                              : 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
    }
}

/* The first bytes: a BOM says what the rest is; it is no part of it. */
static void take_first(struct evlog_read *r, unsigned char b)
{
    static const struct {
        const char *bytes;
        enum encoding is;
    } boms[] = {{"\xff\xfe", UTF16LE}, {"\xfe\xff", UTF16BE}, {"\xef\xbb\xbf", UTF8}};
    unsigned n;

    r->unit[r->units++] = b;
    for (size_t i = 0; i < ARRAY_LEN(boms); i++) {
        if (memcmp(boms[i].bytes, r->unit, r->units) != 0)
            continue;
        if (boms[i].bytes[r->units] != '\0')
            return; /* so far */
        r->encoding = boms[i].is;
        r->units = 0;
        return;
    }
    n = r->units;
    r->units = 0;
    r->encoding = UTF8;
    for (unsigned i = 0; i < n; i++)
        take(r, (char)r->unit[i]);
}

int evlog_read_bytes(struct evlog_read *r, const void *p, size_t n, struct err *e)
{
    const unsigned char *s = p;

    (void)e;
    for (size_t i = 0; i < n; i++) {
        if (r->encoding == UTF8)
            take(r, (char)s[i]);
        else if (r->encoding == UNKNOWN)
            take_first(r, s[i]);
        else
            take_utf16(r, s[i]);
    }
    return 0;
}

int evlog_read_end(struct evlog_read *r, struct err *e)
{
    (void)e;
    if (r->encoding == UNKNOWN && r->units > 0) {
        unsigned n = r->units;

        r->units = 0;
        for (unsigned i = 0; i < n; i++)
            take(r, (char)r->unit[i]);
    }
    if (r->state == LINE || r->state == TAG)
        r->state = LINE;
    if (r->state != BETWEEN && r->state != SKIP_TAG)
        end_piece(r, r->state == LINE);
    evlog_samba_flush(r->samba);
    return 0;
}

int evlog_read_file(const char *path, evlog_event_cb on_event_cb, evlog_bad_cb on_bad, void *arg,
                    struct err *e)
{
    CLEANUP(evlog_read_freep) struct evlog_read *r = NULL;
    CLEANUP(cleanup_fdp) int opened = -1;
    char buf[32 * 1024], shown[TEXT_SHOWN];
    int fd = STDIN_FILENO;
    ssize_t n;

    if (evlog_read_new(on_event_cb, on_bad, arg, &r, e) < 0)
        return -1;
    if (strcmp(path, "-") != 0) {
        fd = opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
            return err_sys(e,
                           errno == ENOENT                     ? ERR_NOTFOUND
                           : errno == EACCES || errno == EPERM ? ERR_DENIED
                                                               : ERR_IO,
                           errno, "'%s'", text_shown(shown, path));
    }
    while ((n = read(fd, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, ERR_IO, errno, "'%s'", text_shown(shown, path));
        if (evlog_read_bytes(r, buf, (size_t)n, e) < 0)
            return -1;
    }
    return evlog_read_end(r, e);
}
