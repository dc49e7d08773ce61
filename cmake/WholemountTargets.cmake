# Functions with which each folder declares its targets in a line or two.

add_library(wm_options INTERFACE)
target_compile_options(wm_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                            -Wold-style-cast -Wcast-align -Wunused
                                            -Woverloaded-virtual -Wnull-dereference
                                            -ffp-contract=off)
if(WM_WARNINGS_AS_ERRORS)
  target_compile_options(wm_options INTERFACE -Werror)
endif()
# GCC 12 reports false positives of these in inlined standard library code at -O2.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(wm_options INTERFACE -Wno-null-dereference -Wno-restrict
                                              -Wno-maybe-uninitialized -Wno-array-bounds
                                              -Wno-stringop-overflow)
endif()
target_include_directories(wm_options INTERFACE "${CMAKE_SOURCE_DIR}")

# wm_library(NAME SOURCES a.cpp ... DEPENDS wm_base ... [LIBRARIES fmt::fmt ...])
function(wm_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC wm_options ${ARG_DEPENDS} PRIVATE ${ARG_LIBRARIES})
endfunction()

# wm_isa_sources(TARGET a.cpp ...): compiles each source once per instruction set
# (wholemount/base/simd/isa.h says what such a source may contain).
function(wm_isa_sources target)
  set(portable_flags "")
  set(avx2_flags -mavx2 -mfma)
  set(avx512_flags -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
  foreach(isa portable avx2 avx512)
    set(object ${target}_${isa})
    if(NOT TARGET ${object})
      add_library(${object} OBJECT)
      target_link_libraries(${object} PRIVATE wm_options)
      target_compile_definitions(${object} PRIVATE WM_ISA=${isa})
      target_compile_options(${object} PRIVATE ${${isa}_flags} -fno-math-errno -fno-trapping-math -Wno-psabi -Wno-old-style-cast)
      # GCC 12 calls the deliberately undefined operands of its own intrinsics uninitialised.
      target_compile_options(${object} PRIVATE -Wno-uninitialized)
      if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
        # At -O3 GCC spends minutes on the checks of one unrolled transform. Bad addresses are the
        # address sanitizer's to find; the same questions asked of every vector load cost minutes.
        target_compile_options(${object} PRIVATE -O1)
        if(CMAKE_CXX_FLAGS MATCHES "undefined")
          target_compile_options(${object} PRIVATE -fno-sanitize=null,alignment,object-size,pointer-overflow)
        endif()
      else()
        # Kernels are optimised in debug builds too, so that tests end.
        target_compile_options(${object} PRIVATE -O3)
      endif()
      target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
    endif()
    target_sources(${object} PRIVATE ${ARGN})
  endforeach()
endfunction()

# wm_test(NAME SOURCES a_test.cpp ... DEPENDS wm_x ... [LABEL unit] [ARGUMENTS ...]): one GoogleTest
# program.
function(wm_test name)
  if(NOT WM_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;DEPENDS;LIBRARIES;ARGUMENTS" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    math(EXPR ARG_TIMEOUT "6 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE wm_options ${ARG_DEPENDS} ${ARG_LIBRARIES} GTest::gtest
                                        GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
