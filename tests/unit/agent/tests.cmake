# The ledger's tests open its file by SQLite too: to damage it.
include(${CMAKE_CURRENT_LIST_DIR}/../alloc.cmake)
cordon_test(agent ledger cordon_ledger PkgConfig::SQLITE)
cordon_alloc_sweep(test_agent_ledger)
cordon_test(agent ledger_chain cordon_ledger PkgConfig::SQLITE)
cordon_test(agent ledger_crash cordon_ledger PkgConfig::SQLITE)
cordon_test(agent verdict cordon_agent)
cordon_test(agent decide cordon_agent)
cordon_test(agent dc_payload cordon_agent)
