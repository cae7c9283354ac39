# cordon_alloc_sweep(target): link a test that includes tests/unit/alloc.h.
include_guard()
function(cordon_alloc_sweep target)
    foreach(name malloc calloc realloc reallocarray strdup strndup)
        target_link_options(${target} PRIVATE -Wl,--wrap=${name})
    endforeach()
endfunction()
