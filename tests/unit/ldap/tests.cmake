# The pure half of ldap/: linked alone, without a connection.
foreach(name sid uac sd meta netlogon name protect value)
    cordon_test(ldap ${name} cordon_ad)
endforeach()
cordon_test(ldap account cordon_ldap)
cordon_test(ldap dial cordon_ldap)
