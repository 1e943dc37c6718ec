# What holds for every target: floating-point rules, sanitizers, the compiler cache and the linker.

# a * b + c is two roundings unless the code asks for one; kernels ask with intrinsics.
add_compile_options(-ffp-contract=off)

if(FATHOM_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=address,undefined)
endif()

if(FATHOM_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # tells the fuzzer which branches an input took
endif()

find_program(FATHOM_CCACHE ccache)
if(FATHOM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # ccache refuses precompiled headers unless told that their macros and times may differ.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${FATHOM_CCACHE})
endif()

find_program(FATHOM_MOLD mold)
if(FATHOM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
