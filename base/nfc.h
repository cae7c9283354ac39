/* base/nfc.h -- is a text in Unicode's normal form C, for sure?
 *
 * So that one name has one spelling (checklist R7). Without a library of Unicode's data we do not
 * make the normal form: we refuse what may not be in it. That refuses a little more than it must
 * (two combining marks on one letter, loose Hangul jamo), and says yes to no text that is not in
 * NFC by Unicode 14; of characters assigned later it knows nothing.
 */
#ifndef CORDON_BASE_NFC_H
#define CORDON_BASE_NFC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: *ret_c is the character that makes it doubtful (or broken UTF-8 begins there). */
bool nfc_sure(const char *s, size_t n, uint32_t *ret_c);

#endif
