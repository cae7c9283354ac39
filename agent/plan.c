/* agent/plan.c -- the whole product on one page; see plan.h. */
#include "agent/plan.h"

#include "agent/cloud_leg.h"

/* clang-format off */
static const struct plan plans[] = {
    [ACT_DISABLE] = {ACT_DISABLE,
        .steps = {{&effect_disable, .every_dc = true}}, .count = 1,
        .cloud = {{&cloud_disable, .goal = true}, {&cloud_revoke, .goal = true}}, .cloud_count = 2,
        .past = "disabled"},
    [ACT_ENABLE] = {ACT_ENABLE,
        .steps = {{&effect_enable, .every_dc = false}}, .count = 1,
        .cloud = {{&cloud_enable, .goal = true}}, .cloud_count = 1,
        .past = "enabled"},
    [ACT_EXPIRE] = {ACT_EXPIRE, .credentials = true,
        .steps = {{&effect_expire, .every_dc = false}}, .count = 1,
        .cloud = {{&cloud_must_change, .goal = true}}, .cloud_count = 1,
        .past = "password expired"},
    [ACT_RESET] = {ACT_RESET, .credentials = true,
        .steps = {{&effect_reset, .every_dc = false}}, .count = 1,
        .cloud = {{&cloud_password, .goal = true}}, .cloud_count = 1,
        .past = "password reset"},
    [ACT_CONTAIN] = {ACT_CONTAIN, .both = true,
        .steps = {{&effect_disable, .every_dc = true}, {&effect_reset, .every_dc = false}}, .count = 2,
        .cloud = {{&cloud_disable, .goal = true}, {&cloud_revoke, .goal = true},
                  {&cloud_password, .goal = true}}, .cloud_count = 3,
        .past = "contained"},
    [ACT_REVOKE] = {ACT_REVOKE, .credentials = true,
        .cloud = {{&cloud_revoke, .goal = true}}, .cloud_count = 1,
        .past = "sessions revoked"},
    [ACT_MARK] = {ACT_MARK,
        .cloud = {{&cloud_mark, .goal = true}}, .cloud_count = 1,
        .past = "marked as compromised"},
    [ACT_DISMISS] = {ACT_DISMISS,
        .cloud = {{&cloud_dismiss, .goal = true}}, .cloud_count = 1,
        .past = "risk dismissed"},
};
/* clang-format on */

const struct plan *plan_for(enum action a)
{
    return &plans[a];
}
