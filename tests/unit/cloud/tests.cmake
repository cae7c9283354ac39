include(${CMAKE_CURRENT_LIST_DIR}/../alloc.cmake)
cordon_test(cloud token_parts cordon_cloud)
cordon_alloc_sweep(test_cloud_token_parts)
cordon_test(cloud token cordon_cloud)
