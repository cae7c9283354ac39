include(${CMAKE_CURRENT_LIST_DIR}/../alloc.cmake)
cordon_test(cloud token_parts cordon_cloud)
cordon_alloc_sweep(test_cloud_token_parts)
cordon_test(cloud token cordon_cloud)

# cordon_sim(target): link a test that includes tests/unit/cloud/sim.h.
function(cordon_sim target)
    foreach(name loop_now loop_timer_start loop_timer_stop graph_start graph_list graph_cancel
            graph_abandon graph_status_of http_start http_cancel http_abandon http_header_get
            token_get token_ask_cancel token_refused)
        target_link_options(${target} PRIVATE -Wl,--wrap=${name})
    endforeach()
endfunction()
cordon_test(cloud sync cordon_cloud)
cordon_sim(test_cloud_sync)
cordon_alloc_sweep(test_cloud_sync)
cordon_test(cloud connect cordon_cloud)
cordon_sim(test_cloud_connect)
cordon_alloc_sweep(test_cloud_connect)
cordon_test(cloud okta cordon_cloud)
cordon_sim(test_cloud_okta)
cordon_alloc_sweep(test_cloud_okta)
