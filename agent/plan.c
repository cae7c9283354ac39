/* agent/plan.c -- the whole product on one page; see plan.h. */
#include "agent/plan.h"

static const struct plan plans[] = {
    [ACT_DISABLE] = {ACT_DISABLE, .steps = {{&effect_disable, .every_dc = true}}, .count = 1,
                     .past = "disabled"},
    [ACT_ENABLE] = {ACT_ENABLE, .steps = {{&effect_enable, .every_dc = false}}, .count = 1,
                    .past = "enabled"},
    [ACT_EXPIRE] = {ACT_EXPIRE, .credentials = true, .steps = {{&effect_expire, .every_dc = false}},
                    .count = 1, .past = "password expired"},
    [ACT_RESET] = {ACT_RESET, .credentials = true, .steps = {{&effect_reset, .every_dc = false}},
                   .count = 1, .past = "password reset"},
    [ACT_CONTAIN] = {ACT_CONTAIN, .both = true,
                     .steps = {{&effect_disable, .every_dc = true},
                               {&effect_reset, .every_dc = false}},
                     .count = 2, .past = "contained"},
};

const struct plan *plan_for(enum action a)
{
    return &plans[a];
}
