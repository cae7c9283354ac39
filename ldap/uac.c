/* ldap/uac.c -- see uac.h. */
#include "ldap/uac.h"

#include <stddef.h>

#include "base/cleanup.h"

static const struct {
    uint32_t bit;
    const char *word;
} words[] = {
    /* What a person looks for first stands first. */
    {AD_UAC_ACCOUNTDISABLE, "disabled"},
    {AD_UAC_NORMAL_ACCOUNT, "normal"},
    {AD_UAC_WORKSTATION_TRUST_ACCOUNT, "computer"},
    {AD_UAC_SERVER_TRUST_ACCOUNT, "domain controller"},
    {AD_UAC_INTERDOMAIN_TRUST_ACCOUNT, "trust"},
    {AD_UAC_TEMP_DUPLICATE_ACCOUNT, "temporary duplicate"},
    {AD_UAC_PARTIAL_SECRETS_ACCOUNT, "read-only domain controller"},
    {AD_UAC_DONT_EXPIRE_PASSWORD, "password never expires"},
    {AD_UAC_PASSWORD_EXPIRED, "password expired"},
    {AD_UAC_PASSWD_NOTREQD, "password not required"},
    {AD_UAC_PASSWD_CANT_CHANGE, "cannot change password"},
    {AD_UAC_ENCRYPTED_TEXT_PWD_ALLOWED, "reversible password"},
    {AD_UAC_SMARTCARD_REQUIRED, "smart card required"},
    {AD_UAC_LOCKOUT, "locked out"},
    {AD_UAC_NOT_DELEGATED, "not delegated"},
    {AD_UAC_TRUSTED_FOR_DELEGATION, "trusted for delegation"},
    {AD_UAC_TRUSTED_TO_AUTH_FOR_DELEGATION, "trusted to authenticate for delegation"},
    {AD_UAC_DONT_REQ_PREAUTH, "no pre-authentication"},
    {AD_UAC_USE_DES_KEY_ONLY, "DES keys only"},
    {AD_UAC_USE_AES_KEYS, "AES keys"},
    {AD_UAC_NO_AUTH_DATA_REQUIRED, "no authorization data"},
    {AD_UAC_MNS_LOGON_ACCOUNT, "majority node set"},
    {AD_UAC_HOMEDIR_REQUIRED, "home directory required"},
    {AD_UAC_SCRIPT, "logon script"},
};

void ad_uac_words(struct text *t, uint32_t uac)
{
    const char *between = "";

    if (uac == 0)
        text_add(t, "none");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((uac & words[i].bit) == 0)
            continue;
        text_addf(t, "%s%s", between, words[i].word);
        between = ", ";
        uac &= ~words[i].bit;
    }
    /* A bit that we have no word for is shown, never dropped. */
    if (uac != 0)
        text_addf(t, "%s0x%x", between, uac);
}

const char *ad_uac_word(uint32_t bit)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].bit == bit)
            return words[i].word;
    }
    return NULL;
}

bool ad_uac_change(uint32_t was, uint32_t set, uint32_t clear, uint32_t *ret_to)
{
    uint32_t to = ((was | set) & ~clear) & ~AD_UAC_NEVER_WRITE;

    if (((to ^ was) & AD_UAC_TYPE_BITS) != 0)
        return false;
    *ret_to = to;
    return true;
}

bool ad_uac_same(uint32_t a, uint32_t b)
{
    return ((a ^ b) & ~AD_UAC_NEVER_WRITE) == 0;
}
