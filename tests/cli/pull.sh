#!/bin/bash
# pull and -hf: from a hub of our own, which cuts, stalls, lies and redirects; nothing else is asked.
set -u
tritune=$1 root=$2
HF_ENDPOINT=none "$tritune" pull owner/repo 2>&1 | grep -q "built without libcurl" &&
    { echo "built without libcurl"; exit 77; }
dir=$(mktemp -d) || exit 1
failed=0 server=
trap 'kill $server; rm -rf "$dir"' EXIT
fail() { echo "FAILED: $*"; failed=1; }

export XDG_CACHE_HOME=$dir/cache no_proxy=127.0.0.1
unset HF_TOKEN
hub=$dir/hub cache=$dir/cache/tritune/hub/owner/repo
mkdir "$hub"
cp "$root/tests/model/tiny-tales-i2_s.gguf" "$hub/tiny-i2_s.gguf"
echo '{"a": 1}' >"$hub/config.json"
printf 'stand-in' >"$hub/model.safetensors"
echo '{}' >"$hub/tokenizer.json"
size=$(stat -c %s "$hub/tiny-i2_s.gguf")

echo good >"$hub/mode"
luajit "$root/tests/cli/hub_server.lua" "$hub" "$dir/ports" "$dir/log" &
server=$!
for _ in $(seq 100); do [ -s "$dir/ports" ] && break; sleep 0.05; done
read -r port other <"$dir/ports" || { echo "the server does not start"; exit 1; }
export HF_ENDPOINT=http://127.0.0.1:$port/

entry() { # FILE [NAME]: as the hub lists what git itself keeps, and what it keeps elsewhere
    local file=$hub/$1 name=${2:-$1} blob
    blob=$({ printf 'blob %d\0' "$(stat -c %s "$file")"; cat "$file"; } | sha1sum | cut -d ' ' -f 1)
    case $1 in
    *.json) printf '{"type":"file","oid":"%s","size":%d,"path":"%s"}' "$blob" "$(stat -c %s "$file")" "$name" ;;
    *) printf '{"type":"file","oid":"%s","size":1,"path":"%s","lfs":{"oid":"%s","size":%d}}' "$blob" "$name" \
        "$(sha256sum <"$file" | cut -d ' ' -f 1)" "$(stat -c %s "$file")" ;;
    esac
}
list() { local IFS=,; echo "[$*]" >"$hub/listing.json"; } # ENTRY...
list "$(entry tiny-i2_s.gguf)" "$(entry config.json)" '{"type":"directory","path":"images"}'

forget() { rm -rf "$dir/cache"; }
requests() { wc -l <"$dir/log"; }
pull() { "$tritune" pull "$@" >"$dir/out" 2>"$dir/err"; }

got() { # MODE [WORDS...]: a fresh pull arrives whole
    echo "$1" >"$hub/mode"
    forget
    pull owner/repo "${@:2}" || fail "$1: $(cat "$dir/err")"
    [ "$(cat "$dir/out")" = "$cache/tiny-i2_s.gguf" ] || fail "$1: $(cat "$dir/out")"
    cmp "$hub/tiny-i2_s.gguf" "$cache/tiny-i2_s.gguf" || fail "$1: other bytes"
    [ -z "$(find "$cache" -name '*.part')" ] || fail "$1: a part stays"
}

refused() { # STATUS WORDS MODE [WORDS...]: a fresh pull fails, with nothing under a file's name
    echo "$3" >"$hub/mode"
    forget
    again "$@"
}

again() { # the same with the cache as it is
    echo "$3" >"$hub/mode"
    pull owner/repo "${@:4}"
    local status=$?
    [ $status = "$1" ] || fail "$3: expected status $1, found $status: $(cat "$dir/err")"
    grep -qE -- "$2" "$dir/err" || fail "$3: expected $2: $(cat "$dir/err")"
    [ -e "$cache/tiny-i2_s.gguf" ] && fail "$3: a file in spite of it"
}

# -- what comes ------------------------------------------------------------------------------------------

got good
before=$(requests)
pull owner/repo && [ $(($(requests) - before)) = 1 ] || fail "a second pull asks for more than the list"
before=$(requests)
pull owner/repo --offline && pull owner/repo:tiny-i2_s.gguf --offline || fail "offline: $(cat "$dir/err")"
"$tritune" run -hf owner/repo -p "Once upon a time" -n 8 -s 1 >"$dir/out" 2>"$dir/err" || fail "run: $(cat "$dir/err")"
"$tritune" run -p "Once upon a time" -n 8 -s 1 2>/dev/null | cmp - "$dir/out" || fail "another text by -hf"
"$tritune" tokenize -hf owner/repo --offline -p Once >/dev/null 2>"$dir/err" || fail "tokenize: $(cat "$dir/err")"
[ "$(requests)" = "$before" ] || fail "asked the hub for what is here"

got cut
[ "$(grep -c "tiny-i2_s.gguf [1-9]" "$dir/log")" -ge 1 ] || fail "cut: nothing went on where it was"
got whole
got stall --timeout 1
got busy
got away
got away # once more, with a token that only the hub may see
HF_TOKEN=secret got away
grep -q "^$port .* Bearer secret" "$dir/log" || fail "the hub does not get the token"
grep -q "^$other .* Bearer" "$dir/log" && fail "another host gets the token"
got good
rm "$cache/.listing.json"
before=$(grep -c /resolve/ "$dir/log")
pull owner/repo && [ "$(grep -c /resolve/ "$dir/log")" = "$before" ] || fail "a whole file was fetched again"

# -- what does not ----------------------------------------------------------------------------------------

refused 1 "HTTP 401.*set HF_TOKEN" private
HF_TOKEN=secret refused 1 "HF_TOKEN is not accepted" private
refused 1 "HTTP 401.*set HF_TOKEN" api_private
refused 1 "HTTP 403.*conditions" gated
refused 1 "HTTP 404.*check the names" gone
refused 1 "HTTP 429.*wait" patient
refused 1 "[Rr]edirect" circle
refused 1 "rotocol" scheme
refused 6 "expected $size bytes, .*found $((size - 1000))" short
refused 6 "expected $size bytes, .*found" long
refused 6 "expected the checksum" forged
refused 1 "expected bytes from 0 on" shifted
refused 1 "check the network" useless
HF_ENDPOINT=http://127.0.0.1:9 refused 1 "check the network" good
HF_ENDPOINT=ftp://x refused 2 "HF_ENDPOINT: expected https" good
HF_TOKEN=$'a\nb' refused 2 "HF_TOKEN: expected letters" good
refused 1 "expected a model there" good --offline
XDG_CACHE_HOME=/proc/none refused 1 "folder cannot be made" good

# -- Ctrl-C, and what an earlier process left ----------------------------------------------------------------

interrupt() { # the part is kept
    echo dead >"$hub/mode"
    forget
    set -m # else a command in the background does not see SIGINT
    "$tritune" pull owner/repo >/dev/null 2>"$dir/err" &
    local pid=$!
    set +m
    for _ in $(seq 100); do [ -s "$(echo "$cache"/*.part)" ] && break; sleep 0.05; done
    again 1 "another process" good
    kill -INT $pid
    wait $pid
    [ $? = 130 ] || fail "Ctrl-C: $(cat "$dir/err")"
    [ -s "$(echo "$cache"/*.part)" ] || fail "Ctrl-C lost what came"
}
interrupt
again 1 "HTTP 416.*another now" unsatisfied
echo good >"$hub/mode"
pull owner/repo || fail "resume: $(cat "$dir/err")"
tail -n 1 "$dir/log" | grep -q "tiny-i2_s.gguf [1-9]" || fail "resume: began anew"
cmp "$hub/tiny-i2_s.gguf" "$cache/tiny-i2_s.gguf" || fail "resume: other bytes"

interrupt
printf 'damage' | dd of="$(echo "$cache"/*.part)" conv=notrunc status=none
pull owner/repo && cmp "$hub/tiny-i2_s.gguf" "$cache/tiny-i2_s.gguf" || fail "a damaged part: $(cat "$dir/err")"

# -- which file -----------------------------------------------------------------------------------------------

forget
echo good >"$hub/mode"
sed "s/\"size\":$size/\"size\":$((size * 1000000000))/" -i "$hub/listing.json"
pull owner/repo && fail "room for petabytes"
grep -q "expected room for" "$dir/err" || fail "disk: $(cat "$dir/err")"

chosen() { # PATH, after a fresh pull of WORDS
    forget
    pull "${@:2}" || fail "choice of $1: $(cat "$dir/err")"
    [ "$(cat "$dir/out")" = "$1" ] || fail "choice of $1: $(cat "$dir/out")"
}
ggufs="$(entry config.json a-f16.gguf),$(entry config.json a-TQ2_0.gguf),$(entry config.json mmproj-i2_s.gguf)"
cp "$hub/config.json" "$hub/a-TQ2_0.gguf"
cp "$hub/config.json" "$hub/a-f16.gguf"
cp "$hub/config.json" "$hub/a%20b.gguf"
list "$ggufs"
chosen "$cache/a-TQ2_0.gguf" owner/repo
chosen "$cache/a-f16.gguf" owner/repo:a-f16.gguf
chosen "$cache@v1.0/a-f16.gguf" owner/repo@v1.0:a-f16.gguf
grep -q "/resolve/v1.0/a-f16.gguf" "$dir/log" || fail "the revision is not asked for"
list "$ggufs" "$(entry config.json b-tq2_0.gguf)"
refused 1 "owner/repo:FILE among a-f16.gguf, a-TQ2_0.gguf, b-tq2_0.gguf" good
list "$(entry config.json b-00001-of-00002.gguf)" "$(entry config.json b-00002-of-00002.gguf)"
cp "$hub/config.json" "$hub/b-00001-of-00002.gguf"
cp "$hub/config.json" "$hub/b-00002-of-00002.gguf"
chosen "$cache/b-00001-of-00002.gguf" owner/repo
[ -e "$cache/b-00002-of-00002.gguf" ] || fail "the second part stays away"
list "$(entry model.safetensors)" "$(entry config.json)" "$(entry tokenizer.json)" "$(entry config.json README.md)"
chosen "$cache" owner/repo
[ "$(ls "$cache" | tr '\n' ' ')" = "config.json model.safetensors tokenizer.json " ] || fail "folder: $(ls "$cache")"
list "$(entry config.json README.md)"
refused 1 "expected a GGUF file, or config.json and safetensors" good
list "$(entry tiny-i2_s.gguf ../../../../evil-i2_s.gguf)" "$(entry tiny-i2_s.gguf .hidden.gguf)"
refused 1 "found neither among 0 files" good

pull owner/repo:x.gguf
grep -q 'expected a file "x.gguf" among 0' "$dir/err" || fail "no such file: $(cat "$dir/err")"
echo '{"error":"x"}' >"$hub/listing.json"
refused 3 "expected a JSON array" good
for name in owner owner/ /repo owner/../x "owner/repo:../x" "owner/repo:/etc/passwd" "owner/repo:a/../b" "own er/repo" \
    "owner/repo@:x" "owner/repo:" "owner/repo:.listing.json"; do
    pull "$name"
    [ $? = 2 ] || fail "pull $name: $(cat "$dir/err")"
done
"$tritune" run -hf owner/repo -m x -p x 2>&1 | grep -q "expected one of -m FILE and -hf REPO" || fail "-m beside -hf"
exit $failed
