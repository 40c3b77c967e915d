# Writes OUT, the C file with what this build is made from, if that changed since: the commit may with every build.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed OR NOT commit)
  set(commit unknown)
endif()
string(REGEX REPLACE "[^ ]*/[^ ]*" "" flags "${FLAGS}")
string(REGEX REPLACE " +" " " flags "${flags}")
string(STRIP "${flags}" flags)
foreach(name IN ITEMS VERSION commit COMPILER flags)
  string(REGEX REPLACE "([\\\"])" "\\\\\\1" ${name} "${${name}}")
endforeach()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#include \"cli/build.h\"
const struct tri_build tri_build = {\"@VERSION@\", \"@commit@\", \"@COMPILER@\", \"@flags@\"};
" @ONLY)
