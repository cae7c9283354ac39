/* tests/fuzz/fuzz_config.c -- whatever the bytes: errors in words, or settings that, shown and
 * read again, are the same settings. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct cfg_list *a, const struct cfg_list *b)
{
    assert(a->count == b->count);
    for (size_t i = 0; i < a->count; i++)
        assert(strcmp(a->items[i], b->items[i]) == 0);
}

static void check_again(const struct cfg *c)
{
    CLEANUP(cfg_freep) struct cfg *again = NULL;
    struct text shown = TEXT_INIT(16 * 1024 * 1024), t = TEXT_INIT(16 * 1024 * 1024);
    struct err e = ERR_NONE;

    assert(cfg_show(c, true, &t, &e) == 0);
    assert(cfg_notices(c, &t, &e) == 0);
    assert(cfg_show(c, false, &shown, &e) == 0);
    /* Shown on one line, what stood on several may be too long for one: not our subject here. */
    if (shown.len < 4096) {
        assert(cfg_load_bytes("shown", shown.s, shown.len, &again, NULL, &e) == 0);
        same(&c->policy.never_disable, &again->policy.never_disable);
        same(&c->policy.always_disable, &again->policy.always_disable);
        same(&c->policy.never_credentials, &again->policy.never_credentials);
        same(&c->policy.always_credentials, &again->policy.always_credentials);
        same(&c->policy.privileged_groups, &again->policy.privileged_groups);
        assert(c->domain_count == again->domain_count);
        for (size_t i = 0; i < c->domain_count; i++) {
            same(&c->domains[i].dcs, &again->domains[i].dcs);
            same(&c->domains[i].events_file, &again->domains[i].events_file);
            assert(c->domains[i].operation_timeout_ms == again->domains[i].operation_timeout_ms);
            assert(c->domains[i].events == again->domains[i].events);
            assert((c->domains[i].base == NULL) == (again->domains[i].base == NULL));
            if (c->domains[i].base != NULL)
                assert(strcmp(c->domains[i].base, again->domains[i].base) == 0);
        }
    }
    text_done(&shown);
    text_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char front[] = "[cordon]\ndomains = corp.example.com\n"
                                "[domain/corp.example.com]\n[policy]\n";
    struct text input = TEXT_INIT(1024 * 1024), errors = TEXT_INIT(16 * 1024 * 1024);
    struct err e = ERR_NONE;

    /* Once as it is, and once behind what every valid file needs, to get further in. */
    for (int round = 0; round < 2; round++) {
        CLEANUP(cfg_freep) struct cfg *c = NULL;

        text_clear(&errors);
        if (round == 1)
            text_add(&input, front);
        text_addn(&input, data, n);
        if (cfg_load_bytes("fuzz", input.s, input.len, &c, &errors, &e) == 0) {
            assert(errors.len == 0);
            check_again(c);
        } else {
            assert(c == NULL && errors.len > 0 && e.code == ERR_CONFIG && e.msg[0] != '\0');
        }
        text_clear(&input);
    }
    text_done(&input);
    text_done(&errors);
    return 0;
}
