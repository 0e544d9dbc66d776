# Compiler flags common to every target.
add_library(dmsc_flags INTERFACE)
target_compile_options(dmsc_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these for correct code in the standard library at -O2.
  target_compile_options(dmsc_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endif()
if(DMSC_SANITIZE)
  add_compile_options(-fsanitize=${DMSC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DMSC_SANITIZE})
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1 -D_GLIBCXX_ASSERTIONS")  # half the time to compile, the same checks
endif()
if(DMSC_SANITIZE STREQUAL "thread")
  # Asio's fences are unknown to ThreadSanitizer; its locks order the same accesses.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()
if(DMSC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
