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
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)

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
  if(VESSEL_TESTS AND tests)
    set_property(GLOBAL APPEND PROPERTY VESSEL_UNIT_TESTS ${name})
    set_property(GLOBAL PROPERTY VESSEL_UNIT_SOURCES_${name} ${tests})
  endif()
endfunction()

# vessel_command(NAME DESTINATION dir SOURCES file... LINK library...)
# The build tree has them in stage/ as they are installed: commands find their helpers at ../libexec/vessel.
function(vessel_command name)
  cmake_parse_arguments(ARG "" "DESTINATION" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/stage/${ARG_DESTINATION})
  install(TARGETS ${name} RUNTIME DESTINATION ${ARG_DESTINATION})
endfunction()
