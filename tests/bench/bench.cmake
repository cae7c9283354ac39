# Built where CORDON_BENCH is on; see tests/bench/run.
foreach(name floor timed multi)
    add_executable(bench_${name} ${CMAKE_SOURCE_DIR}/tests/bench/${name}.c)
    target_compile_options(bench_${name} PRIVATE -O2 -Wall -Wextra)
    target_compile_definitions(bench_${name} PRIVATE _GNU_SOURCE)
    set_target_properties(bench_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench
        OUTPUT_NAME ${name})
endforeach()
target_link_libraries(bench_floor PRIVATE PkgConfig::LDAP)
target_link_libraries(bench_multi PRIVATE PkgConfig::CURL)
add_executable(bench_events ${CMAKE_SOURCE_DIR}/tests/bench/events.c)
target_link_libraries(bench_events PRIVATE cordon_eventlog cordon_flags)
set_target_properties(bench_events PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench OUTPUT_NAME events)
