# find_package(librtmp) defines the targets librtmp::rtmp, and librtmp::rtmp_static if the static library is installed.
# This file lies in share/cmake/librtmp of the prefix that the headers and libraries are in.
get_filename_component(_librtmp_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
find_path(librtmp_INCLUDE_DIR librtmp/rtmp.h HINTS "${_librtmp_prefix}/include")
find_library(librtmp_LIBRARY NAMES rtmp HINTS "${_librtmp_prefix}/lib" "${_librtmp_prefix}/lib64")
mark_as_advanced(librtmp_INCLUDE_DIR librtmp_LIBRARY)
unset(_librtmp_prefix)

if(NOT librtmp_INCLUDE_DIR OR NOT librtmp_LIBRARY)
    set(librtmp_FOUND FALSE)
    set(librtmp_NOT_FOUND_MESSAGE "librtmp's headers or library are missing")
    return()
endif()

if(NOT TARGET librtmp::rtmp)
    add_library(librtmp::rtmp UNKNOWN IMPORTED)
    set_target_properties(librtmp::rtmp PROPERTIES
        IMPORTED_LOCATION "${librtmp_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${librtmp_INCLUDE_DIR}")
endif()

get_filename_component(_librtmp_directory "${librtmp_LIBRARY}" DIRECTORY)
if(NOT TARGET librtmp::rtmp_static AND EXISTS "${_librtmp_directory}/librtmp.a")
    add_library(librtmp::rtmp_static STATIC IMPORTED)
    # What the Rust standard library needs.
    if(WIN32)
        set(_librtmp_system ws2_32 userenv ntdll crypt32 secur32 ncrypt bcrypt advapi32 kernel32)
    elseif(APPLE)
        set(_librtmp_system "-framework Security" "-framework CoreFoundation")
    else()
        set(_librtmp_system pthread m dl util rt)
    endif()
    set_target_properties(librtmp::rtmp_static PROPERTIES
        IMPORTED_LOCATION "${_librtmp_directory}/librtmp.a"
        INTERFACE_INCLUDE_DIRECTORIES "${librtmp_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES "${_librtmp_system}")
    unset(_librtmp_system)
endif()
unset(_librtmp_directory)
