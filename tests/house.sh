#!/usr/bin/env bash
# The house keeps its own rules: floors, one home for each ISA, nothing generated in git, names.
# Gets the tritune binary and the project root, like the tests in tests/cli; says why on failure.
tritune=$1 root=${2:-.}
cd "$root" || exit 1
broken=0
shopt -s lastpipe # so that complain, at the end of a pipe, can set broken

complain() { # RULE, offending lines on standard input
    local lines
    lines=$(head -n 20)
    [ -z "$lines" ] && return
    printf '%s\n' "$1" "$lines" | sed '2,$s/^/    /'
    broken=1
}

# Files of the project by extension: those git tracks, or where it tracks none, all but the build tree.
sources() { # EXTENSION...
    local pattern
    pattern="\\.($(IFS='|'; echo "$*"))$"
    { git ls-files 2>/dev/null | grep . || find ./* -path ./build -prune -o -type f -print | sed 's|^\./||'; } |
        grep -E "$pattern" | while read -r file; do [ -e "$file" ] && echo "$file"; done
}

# -- floors ------------------------------------------------------------------------------------------

declare -A floor=([base]=0 [kernels]=1 [file]=2 [text]=3 [model]=4 [engine]=5 [library]=6 [hub]=6 [cli]=7)

upward() { # includes that reach up, or across to a neighbour
    local line from to
    grep -rnoE '#include "[^"]+"' runtime | while read -r line; do
        from=${line#runtime/} from=${from%%/*}
        to=${line##*#include \"} to=${to%\"}
        [[ $to == */* ]] || to=$from/$to
        to=${to%%/*}
        if [ -z "${floor[$from]-}" ] || [ -z "${floor[$to]-}" ]; then
            [[ $from == include || $to == include ]] || echo "$line: no floor is called so"
        elif [ "$from" != "$to" ] && [ "${floor[$to]}" -ge "${floor[$from]}" ]; then
            echo "$line"
        fi
    done
}

foreign_requires() { # what gen/ loads that is not its own
    local name line
    grep -rnoE '\brequire *\(? *"[^"]+"' gen | while read -r line; do
        name=${line##*require} name=${name#*\"} name=${name%\"}
        [ -e "gen/${name//.//}.lua" ] || echo "$line"
    done
}

upward | complain "Floors go base < kernels < file < text < model < engine < library, hub < cli, and nothing includes upward:"
foreign_requires | complain "gen/ is plain Lua and loads nothing but itself:"

# -- one home for each fact ----------------------------------------------------------------------------

isa_names() { # names of ISAs where only gen/isa knows them
    local isa
    for isa in gen/isa/*.lua; do
        isa=$(basename "$isa" .lua)
        [ "$isa" = c ] && continue
        sources c h cc lua lt txt cmake | grep -vE '^(gen/isa|tests|results)/' | xargs grep -nw -e "$isa"
    done
}

generated() {
    sources c h | grep -v '^tests/golden/' | xargs grep -lE 'generated[, -]+do not edit'
    ls tests/golden/*.c 2>/dev/null | tail -n +3
}

isa_names | complain "Everything about an ISA stands in its table in gen/isa, its name included:"
generated | complain "Generated C stays in the build tree, but for two golden kernels:"

# -- names ---------------------------------------------------------------------------------------------

objects() { find "$(dirname "$tritune")/CMakeFiles" -path '*/tri_*.dir/*' -name '*.o'; }

foreign_symbols() { # defined, and not merely weak as what C++ instantiates
    objects | xargs nm -gA --defined-only |
        awk '$2 ~ /^[A-TX-Z]$/ && $3 !~ /^tri_/ { sub(/:[^:]*$/, "", $1); print $1 ": " $3 }'
}

# "NAMES VALUE" of every option of every subcommand, as --help prints them
options() {
    local subcommand
    for subcommand in $("$tritune" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
        "$tritune" "$subcommand" --help | sed -nE "s/^  (-[^ ].*[^ ])  +.*/\1/p"
    done | sed -E 's/  +.*//'
}

ill_named() { options | tr ' ,' '\n\n' | grep -- '^-' | grep -vxE -- '--[a-z][a-z0-9]*(-[a-z0-9]+)*|-[a-z]{1,3}' | sort -u; }

# one spelling, one meaning: the same long name everywhere comes with the same short name and value
two_meanings() {
    options | sort -u | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^--/) { name = $i; sub(",", "", name)
        if (name in seen && seen[name] != $0) print seen[name] " | " $0; seen[name] = $0 } }'
}

if [ -x "$tritune" ]; then
    [ -n "$(options)" ] || echo "$tritune --help" | complain "No options found in the help of any subcommand:"
    [ -n "$(objects)" ] || echo "$tritune" | complain "No object files lie beside:"
    foreign_symbols | complain "What the linker sees begins with tri_:"
    ill_named | complain "Options are spelled --like-this or -x:"
    two_meanings | complain "An option means the same in every subcommand:"
else
    echo "${tritune:-(nothing)}" | complain "Expected the path of the tritune binary, found:"
fi

exit $broken
