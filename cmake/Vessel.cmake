# Compiler settings and the two target kinds of the tree: a layer (one static library per folder) and a command.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(-Wall -Wextra -Wshadow -Wpedantic -Wnon-virtual-dtor -Werror)
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64 VESSEL_VERSION="${PROJECT_VERSION}")
if(VESSEL_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
else()
  add_compile_definitions($<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
  add_compile_options(-fstack-protector-strong)
  # -g1, names and lines for a backtrace, is a fifth less to compile than -g, and -O1 a third less than -O2: the time of a
  # command is the kernel's (bench/lifecycle shows no difference), that of the first build is its user's.
  add_compile_options($<$<CONFIG:RelWithDebInfo>:-g1> $<$<CONFIG:RelWithDebInfo>:-O1>)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)  # ccache(1), "Precompiled headers"
endif()

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)

# Loading shared libraries would be most of the time of a short command: all but libc (and libarchive, which only vztmpl
# and vz-unpack keep) are linked in. Distributions ship fmt as a shared library only: base/fmt holds its few functions.
# Debug builds stay dynamic: they link faster.
add_library(vessel_fmt INTERFACE)
if(VESSEL_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug" OR fmt_VERSION VERSION_GREATER_EQUAL 11)
  set(VESSEL_STATIC OFF)
  target_link_libraries(vessel_fmt INTERFACE fmt::fmt)
else()
  set(VESSEL_STATIC ON)
  add_link_options(-static-libstdc++ -static-libgcc -Wl,--as-needed)
  target_include_directories(vessel_fmt INTERFACE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(vessel_fmt INTERFACE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
endif()

# vessel_pkg(PREFIX module...): pkg_check_modules for PkgConfig::PREFIX, archives preferred in static builds.
macro(vessel_pkg prefix)
  set(vessel_suffixes ${CMAKE_FIND_LIBRARY_SUFFIXES})
  if(VESSEL_STATIC)
    list(PREPEND CMAKE_FIND_LIBRARY_SUFFIXES .a)
  endif()
  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET GLOBAL ${ARGN})
  set(CMAKE_FIND_LIBRARY_SUFFIXES ${vessel_suffixes})
endmacro()

# What nearly every file includes is parsed once, and a layer is compiled in few pieces: that is a quarter of the time of a
# build. Not in debug builds, where each file must include itself what it uses.
set(VESSEL_PCH ON)
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(VESSEL_PCH OFF)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # What g++ 12 wrongly sees in inlined std::string (GCC bugs 105329, 105651); precompiled, that is no system header.
  add_compile_options(-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()
function(vessel_precompiled name header)
  add_library(${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE vessel_fmt ${ARGN})
  target_precompile_headers(${name} PRIVATE ${PROJECT_SOURCE_DIR}/${header})
endfunction()
function(vessel_use_precompiled target name)
  if(VESSEL_PCH)
    target_precompile_headers(${target} REUSE_FROM ${name})
  endif()
endfunction()
if(VESSEL_PCH)
  vessel_precompiled(vessel_headers cmake/precompiled.h)
endif()

# vessel_layer(NAME layer... [LINK library...] [EXCLUDE regex]): every .cpp of the folder is the library, every
# *_test.cpp its unit test, but for paths that match EXCLUDE. The layers named are the ones it may include; tests/lint/layers holds the includes to the same arrows.
function(vessel_layer name)
  cmake_parse_arguments(ARG "" "EXCLUDE" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX ${ARG_EXCLUDE})
  endif()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_UNPARSED_ARGUMENTS} vessel_fmt PRIVATE ${ARG_LINK})
  vessel_use_precompiled(${name} vessel_headers)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${VESSEL_PCH} UNITY_BUILD_BATCH_SIZE 10)
  if(VESSEL_TESTS AND tests)
    set_property(GLOBAL APPEND PROPERTY VESSEL_UNIT_TESTS ${name})
    set_property(GLOBAL PROPERTY VESSEL_UNIT_SOURCES_${name} ${tests})
  endif()
endfunction()

# `commands` are what is installed and what the lab needs, without the unit tests.
add_custom_target(commands)

# vessel_command(NAME DESTINATION dir SOURCES file... LINK library...)
# The build tree has them in stage/ as they are installed: commands find their helpers at ../libexec/vessel.
function(vessel_command name)
  cmake_parse_arguments(ARG "" "DESTINATION" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  if(ARG_LINK)
    vessel_use_precompiled(${name} vessel_headers)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ${VESSEL_PCH} UNITY_BUILD_BATCH_SIZE 10)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/stage/${ARG_DESTINATION})
  install(TARGETS ${name} RUNTIME DESTINATION ${ARG_DESTINATION})
  add_dependencies(commands ${name})
endfunction()
