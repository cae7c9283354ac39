# The ledger's tests open its file by SQLite too: to damage it.
include(${CMAKE_CURRENT_LIST_DIR}/../alloc.cmake)
cordon_test(agent ledger cordon_ledger PkgConfig::SQLITE)
cordon_alloc_sweep(test_agent_ledger)
cordon_test(agent ledger_chain cordon_ledger PkgConfig::SQLITE)
cordon_test(agent ledger_crash cordon_ledger PkgConfig::SQLITE)
cordon_test(agent verdict cordon_agent)
cordon_test(agent decide cordon_agent)
cordon_test(agent request cordon_agent)
cordon_alloc_sweep(test_agent_request)
cordon_test(agent signed cordon_agent PkgConfig::CRYPTO)
cordon_alloc_sweep(test_agent_signed)
# Not a test by itself: tests/schema/schema.t runs it.
add_executable(schema_results tests/schema/results.c)
target_link_libraries(schema_results PRIVATE cordon_agent cordon_flags)
cordon_test(agent policy_only cordon_agent)
target_link_options(test_agent_policy_only PRIVATE
    -Wl,--wrap=ad_search_start -Wl,--wrap=ad_dcs_domain)
cordon_test(agent brake cordon_agent PkgConfig::SQLITE)
cordon_alloc_sweep(test_agent_brake)
target_link_options(test_agent_brake PRIVATE
    -Wl,--wrap=boot_now_ms -Wl,--wrap=boot_id -Wl,--wrap=stamp_now_ms)
cordon_test(agent intake_risk cordon_agent PkgConfig::SQLITE)
target_link_options(test_agent_intake_risk PRIVATE
    -Wl,--wrap=risk_list_start -Wl,--wrap=risk_detections_start -Wl,--wrap=risk_cancel
    -Wl,--wrap=entra_read_start -Wl,--wrap=entra_cancel -Wl,--wrap=loop_timer_start
    -Wl,--wrap=loop_timer_stop -Wl,--wrap=loop_now -Wl,--wrap=stamp_now_ms)
cordon_test(agent holdwatch cordon_agent PkgConfig::SQLITE)
target_link_options(test_agent_holdwatch PRIVATE
    -Wl,--wrap=entra_read_start -Wl,--wrap=entra_cancel -Wl,--wrap=loop_timer_start
    -Wl,--wrap=loop_timer_stop -Wl,--wrap=loop_now -Wl,--wrap=stamp_now_ms
    -Wl,--wrap=evlog_source_dc)
cordon_test(agent dc_payload cordon_agent)
cordon_test(agent sync_order cordon_agent)
cordon_test(agent requests cordon_agent PkgConfig::SQLITE)
cordon_test(agent metrics cordon_agent)
cordon_test(agent control cordon_agent)
target_link_options(test_agent_control PRIVATE -Wl,--wrap=loop_timer_start -Wl,--wrap=getsockopt)
cordon_test(agent service cordon_agent PkgConfig::SQLITE)
foreach(name loop_now loop_timer_start loop_timer_stop queue_renew_start queue_complete_start queue_release_start
        queue_dead_start queue_message_free queue_caps world_can_judge world_dc world_hopeful run_case_start)
    target_link_options(test_agent_service PRIVATE -Wl,--wrap=${name})
endforeach()
