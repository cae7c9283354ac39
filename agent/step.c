/* agent/step.c -- see step.h. Kept in as few bytes as it takes: thousands are in flight. */
#include "agent/step.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"

void step_say(struct step *s, const char *fmt, ...)
{
    char words[STEP_DETAIL], *mine;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    mine = text_dup(words);
    if (mine == NULL) {
        log_error("step=%s out of memory for: %s", s->name, words);
        return;
    }
    free(s->detail_);
    s->detail_ = mine;
}

const char *step_detail(const struct step *s)
{
    return s->detail_ != NULL ? s->detail_ : "";
}

const char *step_target(const struct step *s)
{
    return s->target != NULL ? s->target : "";
}

void step_done(struct step *s)
{
    free(s->detail_);
    s->detail_ = NULL;
}
