# The pure half of ldap/: linked alone, without a connection.
foreach(name sid uac sd meta netlogon name protect value)
    cordon_test(ldap ${name} cordon_ad)
endforeach()
cordon_test(ldap account cordon_ldap)
cordon_test(ldap dial cordon_ldap)
cordon_test(ldap options cordon_ldap PkgConfig::LDAP)
target_link_options(test_ldap_options PRIVATE
    -Wl,--wrap=ldap_set_option -Wl,--wrap=ldap_get_option)
cordon_test(ldap result cordon_ldap PkgConfig::LDAP PkgConfig::KRB5)
cordon_test(ldap renew cordon_ldap PkgConfig::KRB5)
cordon_test(ldap cred cordon_ldap PkgConfig::KRB5)
target_link_options(test_ldap_cred PRIVATE -Wl,--wrap=krb5_get_init_creds_keytab)
