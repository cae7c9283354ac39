/* config/list.h -- values that are lists.
 *
 * Plain lists (hosts, files, domains): entries parted by commas or line ends, no quotes.
 *
 * Lists of accounts hold distinguishedNames, whose own commas must never part them: half a DN on
 * a never-list protects nobody, and "OU=x,DC=y" cut from its front is a whole OU. So:
 *
 *  1. Entries are parted by ',' or ';' or the end of a line. (A ';' with a space before it would
 *     begin a comment; in these lists that is an error, since it might drop an entry in silence.)
 *  2. An entry is `name`, `group:name`, `ou:DN`, `sid:S-1-...`, or a DN in place of the name. What
 *     begins with `attribute=` is a DN. The commas of a DN belong to it as long as `attribute=`
 *     follows.
 *  3. A DN must be whole: after its first DC= part come only DC= parts, and at least one. So an
 *     unescaped comma ("CN=Doe, Jane,OU=x,DC=y") and two DNs run into one are errors. To have two
 *     DNs, part them with ';' or a line end. A DN that ends in ',' before a line that begins with
 *     `attribute=` could be meant either way: an error.
 *  4. A backslash protects the next character and stays: CN=Doe\, Jane,OU=x,DC=y.
 *  5. "..." around an entry, or around what follows a prefix, takes everything in it as it is but
 *     for rule 4. The quotes are taken off.
 *  6. Spaces around an entry do not count. No entry is empty, and none is given twice.
 */
#ifndef CORDON_CONFIG_LIST_H
#define CORDON_CONFIG_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

/* On an error (ERR_CONFIG, ERR_NOMEM) *ret_at is where in `value` it is. The list is freed with
 * cfg_list_done. */
int cfg_list_plain(const char *value, struct cfg_list *ret_list, size_t *ret_at, struct err *e);
int cfg_list_accounts(const char *value, struct cfg_list *ret_list, size_t *ret_at, struct err *e);
void cfg_list_done(struct cfg_list *l);
bool cfg_list_has(const struct cfg_list *l, const char *s); /* ASCII case folded */

/* Rules 4 and 5 on text that is not in quotes: no bare quote, no backslash at the end. */
int cfg_bare_check(const char *s, struct err *e);
/* Does it begin like a DN: `attribute=` or `1.2.3=`? */
bool cfg_dn_like(const char *s);
/* Is it a whole DN, by rule 3? On failure `e` says what is missing. */
int cfg_dn_check(const char *dn, struct err *e);
/* The domain that a whole DN is in, "corp.example.com", from its DC parts, lower case; malloc'd. */
char *cfg_dn_domain(const char *dn);

#endif
