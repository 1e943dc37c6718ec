# The line of folders (docs/architecture.md): each is one static library, and may include only what it names here.
# scripts/check_includes.sh reads this same list.
set(FATHOM_FOLDERS
  "base:"
  "io:base"
  "tensor:base"
  "report:io"
  "runtime:tensor"
  "ops:runtime"
  "text:io"
  "backend:ops"
  "data:text,runtime"
  "nn:ops"
  "model:nn,io"
  "optim:nn"
  "plan:model,optim"
  "checkpoint:model,optim,text"
  "generate:model,text"
  "train:data,checkpoint,report"
  "eval:generate,checkpoint,data"
  "align:train,eval"
  "study:train,eval,align"
  "demo:align"
  "app:backend,study,demo,plan"
)

set(FATHOM_ONLY "" CACHE STRING "Folders to build, such as base;tensor; empty: all")

# Adds each folder of the line that is present, lowest first.
function(fathom_add_folders)
  foreach(entry ${FATHOM_FOLDERS})
    string(REGEX REPLACE ":.*" "" name "${entry}")
    if(FATHOM_ONLY AND NOT name IN_LIST FATHOM_ONLY)
      continue()
    endif()
    if(EXISTS ${CMAKE_SOURCE_DIR}/src/${name}/CMakeLists.txt)
      add_subdirectory(${CMAKE_SOURCE_DIR}/src/${name})
    endif()
  endforeach()
endfunction()

# Sets `out` to the targets that folder `name` links: its listed folders, an absent one replaced by what that one lists.
function(fathom_folder_targets name out)
  set(targets "")
  foreach(entry ${FATHOM_FOLDERS})
    if(entry MATCHES "^${name}:(.*)$")
      string(REPLACE "," ";" below "${CMAKE_MATCH_1}")
      foreach(folder ${below})
        if(TARGET fathom_${folder})
          list(APPEND targets fathom_${folder})
        else()
          fathom_folder_targets(${folder} inherited)
          list(APPEND targets ${inherited})
        endif()
      endforeach()
    endif()
  endforeach()
  list(REMOVE_DUPLICATES targets)
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

function(fathom_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                           $<$<BOOL:${FATHOM_WERROR}>:-Werror>)
endfunction()

# One folder: library fathom_<name> (alias fathom::<name>) and test program <name>_test.
#   SOURCES    listed, relative to the folder
#   TESTS      *_test.cpp, one program for all of them
#   LINK       libraries from outside, private
#   TEST_LINK  what the tests need beyond the folder: a folder's name (backend) or a library
function(fathom_folder name)
  cmake_parse_arguments(arg "" "" "SOURCES;TESTS;LINK;TEST_LINK" ${ARGN})
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fathom_folder(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  fathom_folder_targets(${name} below)
  add_library(fathom_${name} STATIC ${arg_SOURCES})
  add_library(fathom::${name} ALIAS fathom_${name})
  target_include_directories(fathom_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(fathom_${name} PUBLIC ${below} PRIVATE ${arg_LINK})
  fathom_warnings(fathom_${name})
  if(FATHOM_UNITY)
    set_target_properties(fathom_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    # Kernel files hold anonymous namespaces with the same names and regions of their own instruction sets.
    set(kernels ${arg_SOURCES})
    if(NOT name STREQUAL "ops")
      list(FILTER kernels INCLUDE REGEX "(^|/)(cpu|reference)[^/]*\\.cpp$")
    endif()
    set_source_files_properties(${kernels} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
  if(FATHOM_TESTS AND arg_TESTS)
    fathom_test_program(${name} "${arg_TESTS}" "${arg_TEST_LINK}")
  endif()
endfunction()

# The flags that all test programs share, and with them one precompiled <gtest/gtest.h>.
function(fathom_test_flags target)
  target_compile_definitions(${target} PRIVATE FATHOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                               FATHOM_SHARED_DIR="${CMAKE_SOURCE_DIR}/../shared")
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_link_libraries(${target} PRIVATE GTest::gtest_main Threads::Threads)
  fathom_warnings(${target})
endfunction()

function(fathom_test_program name sources link)
  if(NOT TARGET fathom_test_header)
    file(WRITE ${CMAKE_BINARY_DIR}/test_header.cpp "")
    add_library(fathom_test_header OBJECT ${CMAKE_BINARY_DIR}/test_header.cpp)
    target_precompile_headers(fathom_test_header PRIVATE <gtest/gtest.h>)
    fathom_test_flags(fathom_test_header)
  endif()
  set(libraries fathom_${name})
  foreach(library ${link})
    if("${FATHOM_FOLDERS}" MATCHES "(^|;)${library}:")
      list(APPEND libraries $<TARGET_NAME_IF_EXISTS:fathom_${library}>)  # may stand higher in the line
    else()
      list(APPEND libraries ${library})
    endif()
  endforeach()
  add_executable(${name}_test ${sources})
  fathom_test_flags(${name}_test)
  target_precompile_headers(${name}_test REUSE_FROM fathom_test_header)
  target_link_libraries(${name}_test PRIVATE ${libraries})
  set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name}_test COMMAND ${name}_test)
  set_tests_properties(${name}_test PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

# The program: build/fathom from src/app/main.cpp and the library of src/app.
function(fathom_program)
  add_executable(fathom ${CMAKE_SOURCE_DIR}/src/app/main.cpp)
  target_link_libraries(fathom PRIVATE fathom_app)
  fathom_warnings(fathom)
  set_target_properties(fathom PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
