# The libraries from the system; scripts/packages.txt names the Debian packages that hold them.

set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
find_package(hwy CONFIG REQUIRED)      # hwy::hwy
find_package(nlohmann_json REQUIRED)   # nlohmann_json::nlohmann_json
find_package(tomlplusplus REQUIRED)    # tomlplusplus::tomlplusplus
find_package(ZLIB REQUIRED)           # ZLIB::ZLIB
find_package(CLI11 REQUIRED)           # CLI11::CLI11
find_path(FATHOM_LIBEDIT_INCLUDE histedit.h REQUIRED)
find_library(FATHOM_LIBEDIT edit REQUIRED)
add_library(libedit::libedit UNKNOWN IMPORTED GLOBAL)
set_target_properties(libedit::libedit PROPERTIES IMPORTED_LOCATION ${FATHOM_LIBEDIT}
                                                  INTERFACE_INCLUDE_DIRECTORIES ${FATHOM_LIBEDIT_INCLUDE})
find_package(ICU REQUIRED COMPONENTS uc)  # ICU::uc
# Debian's package has no CMake file; the target is named as in PCRE2's own.
find_path(FATHOM_PCRE2_INCLUDE pcre2.h REQUIRED)
find_library(FATHOM_PCRE2_LIBRARY pcre2-8 REQUIRED)
add_library(PCRE2::8BIT INTERFACE IMPORTED GLOBAL)
target_include_directories(PCRE2::8BIT INTERFACE ${FATHOM_PCRE2_INCLUDE})
target_link_libraries(PCRE2::8BIT INTERFACE ${FATHOM_PCRE2_LIBRARY})
if(FATHOM_TESTS)
  find_package(GTest CONFIG REQUIRED)  # GTest::gtest_main
endif()
