# Not the whole of agent/: what reads a stranger's bytes stands by itself.
cordon_fuzz(dc_payload cordon_ldap)
target_sources(fuzz_dc_payload PRIVATE agent/dc_payload.c)
