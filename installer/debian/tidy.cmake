# What Debian wants otherwise than a folder below /usr/local: cpack runs this where all is put
# together, before it is packed.
file(GLOB_RECURSE ours "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*")
foreach(f ${ours})
    if(f MATCHES "/share/man/.*[0-9]$" OR f MATCHES "/changelog[.]Debian$")
        execute_process(COMMAND gzip -9n ${f} COMMAND_ERROR_IS_FATAL ANY)
    endif()
endforeach()
set(share "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share")
file(MAKE_DIRECTORY "${share}/zsh/vendor-completions")
file(RENAME "${share}/zsh/site-functions/_cordon" "${share}/zsh/vendor-completions/_cordon")
file(REMOVE_RECURSE "${share}/zsh/site-functions")
