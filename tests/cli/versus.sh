#!/usr/bin/env bash
# tritune beside other programs: peers that measure well in each form, and peers that fail, hang, print garbage, lie or
# run another model. Speeds are not judged.
tritune=$1 root=$2
. "$root/tests/lua_program.sh"

# peer KIND: as llama-bench, for the model that tritune embeds; so fast that its time never adds up to more than it ran
cat >"$tmp/peer" <<'PEER'
#!/usr/bin/env luajit
local kind, o, i = arg[1], { ["-n"] = 0, ["-p"] = 0, ["-t"] = 1, ["-o"] = "md", ["-m"] = "none" }, 2
while arg[i] do o[arg[i]], i = arg[i + 1], i + 2 end
local params = kind == "other" and 3e9 or 6957312
if kind == "fails" then io.stderr:write("first\nno such model: ", o["-m"], "\n") os.exit(3) end
if kind == "hangs" then os.execute("sleep 1000") end
if kind == "garbage" then print('[{"n_prompt": "many"}] {{{ |\n| test | t/s |\n| pp16 |') os.exit(0) end
if kind == "nothing" then os.exit(0) end
local rows = {}
for _, test in ipairs { { tonumber(o["-p"]), 0 }, { 0, tonumber(o["-n"]) } } do
  local ts = kind == "lies" and 1e-3 or kind == "zero" and 0 or 1e9
  if test[1] + test[2] > 0 then
    rows[#rows + 1] = ('{"model_type": "fake", "model_size": 7000000, "model_n_params": %d, "n_threads": %d, '
      .. '"n_prompt": %d, "n_gen": %d, "avg_ts": %g}'):format(params, o["-t"], test[1], test[2], ts)
    if kind == "table" then
      rows[#rows] = ("| fake | 6.64 MiB | 6.96 M | CPU | %d | %s%d | 1000000000.00 ± 2.50 |"):format(o["-t"],
        test[1] > 0 and "pp" or "tg", test[1] + test[2])
    end
  end
end
if kind == "table" then
  print("| model | size | params | backend | threads | test | t/s |\n| --- | ---: | ---: | --- | ---: | ---: | ---: |")
  print(table.concat(rows, "\n") .. "\n\nbuild: abc (1)")
elseif kind == "lines" then print("a word before\n" .. table.concat(rows, "\n"))
else print("a word before\n[\n" .. table.concat(rows, ",\n") .. "\n]") end
PEER
chmod +x "$tmp/peer"

fail() {
    echo "FAILED: $1"
    sed 's/^/  | /' "$tmp/err" "$tmp/out" | head -n 30
    failed=1
}

versus() { # OPTION...: its status; what it says in $tmp/out and $tmp/err
    luajit "$root/bench/versus.lua" --tritune "$tritune" -p 8 -n 4 -t 1 "$@" >"$tmp/out" 2>"$tmp/err"
}

says() { grep -q -- "$1" "$tmp/err" || fail "expected a word of: $1"; }

# holds LUA: the JSON as d
holds() {
    luajit -e 'local d = require("cjson").decode(io.read("*a")) '"$1" <"$tmp/out" >>"$tmp/err" 2>&1 || fail "JSON: $1"
    bash "$root/tests/cli/schema.sh" "$root/bench/schema/versus.json" "$tmp/out" >"$tmp/schema" 2>&1
    case $? in 0 | 77) ;; *) fail "the schema: $(cat "$tmp/schema")" ;; esac
}

# -- good ones, in each form, and those that are left out

versus -r 5 -t 1,2 --no-warmup --json --peer "good=$tmp/peer json" --peer "lines=$tmp/peer lines" --peer "table=$tmp/peer table" \
    --peer "other=$tmp/peer other" --peer "fails=$tmp/peer fails" --peer "garbage=$tmp/peer garbage" \
    --peer "nothing=$tmp/peer nothing" --peer "lies=$tmp/peer lies" --peer "zero=$tmp/peer zero" \
    --peer "none=$tmp/no-such-program" || fail "good and bad peers: exit $?"
holds 'assert(#d.rows == 4 * 2 * 2 and #d.sides == 11 and #d.failed == 6 and not d.interrupted)
    for _, r in ipairs(d.rows) do
        assert(r.rounds == 5 and #r.ours.samples == 5 and #r.theirs.samples == 5)
        assert(r.low <= r.ratio and r.ratio <= r.high and r.ratio < 1 and r.verdict == "slower")
        assert(r.test == "pp8" or r.test == "tg4")
    end
    local text = table.concat(d.warnings, "\n")
    assert(text:find("other runs a model of 3000 M parameters, ours 7 M", 1, true))
    assert(not text:find("good runs a model"))
    local reasons = {}
    for _, f in ipairs(d.failed) do reasons[f.peer] = f.reason .. "|" .. f.said end
    assert(reasons.fails:find("exit code 3|first\nno such model", 1, true))
    assert(reasons.garbage:find("expected a row of", 1, true) and reasons.nothing:find("found no row at all", 1, true))
    assert(reasons.lies:find("cannot be of this run", 1, true) and reasons.zero:find("says 0 tokens a second", 1, true))
    assert(reasons.none:find("cannot be run", 1, true))'
says 'fails is left out: it ended with exit code 3'
says '  | no such model'
says 'the shapes are not equal'

versus -r 1 --options "--head full" --peer "good=$tmp/peer table" || fail "a table: exit $?"
grep -q '^| good | pp8 | 1 | 1 | .* too few rounds to tell |$' "$tmp/out" || fail "the table"

# a model's path with a blank in it, before and behind the options
cp "$root/tests/model/tiny-tales-i2_s.gguf" "$tmp/a model.gguf"
versus -r 1 -p 0 --model "$tmp/a model.gguf" --peer "good='$tmp/peer' json -m {model}" || fail "{model}: exit $?"
grep -q '^| good | tg4 ' "$tmp/out" || fail "{model}"

# -- none that is left: no table; a peer that hangs is stopped, with what it started

versus -r 1 --peer "fails=$tmp/peer fails" && fail "no peer is left: expected a failure"
[ ! -s "$tmp/out" ] || fail "no peer is left: a table"
versus -r 1 --timeout 2 --peer "hangs=$tmp/peer hangs" && fail "a peer that hangs: expected a failure"
says 'hangs is left out: it was stopped after 2 s'
versus -r 1 --synth no-such-size --peer "good=$tmp/peer json" && fail "ours fails: expected a failure"
says 'versus: tritune: it ended with exit code'
versus -r 1 --options '--head none' --peer "good=$tmp/peer json" && fail "ours fails by an option: expected a failure"
says 'versus: tritune: it ended with exit code 2'

# -- Ctrl-C keeps what is done; on a busy machine it may come before anything is

for seconds in 4 10 30; do
    timeout --preserve-status -s INT $seconds luajit "$root/bench/versus.lua" --tritune "$tritune" -p 8 -n 4 -t 1 -r 10000 \
        --json --peer "good=$tmp/peer json" >"$tmp/out" 2>"$tmp/err"
    code=$?
    [ $code = 130 ] && grep -q '"peer":' "$tmp/out" && break
done
[ $code = 130 ] || fail "Ctrl-C: expected exit code 130, got $code"
holds 'assert(d.interrupted and #d.rows == 2 and d.rows[1].rounds >= 1 and d.rows[1].rounds < 10000)'

# -- nonsense

refuses() { # PATTERN OPTION...
    local pattern=$1 found=0
    shift
    versus "$@" || found=$?
    [ $found = 2 ] || fail "$*: expected exit 2, found $found"
    says "$pattern"
    [ ! -s "$tmp/out" ] || fail "$*: prints on stdout"
}

refuses 'peer'
refuses 'expected NAME=COMMAND' --peer good
refuses 'is not closed' --peer "good='open"
refuses 'names that differ' --peer a=b --peer a=c
refuses 'names that differ' --peer tritune=b
refuses 'holds {model}' --peer 'a=b {model}'
refuses 'No such file' --peer a=b --model "$tmp/none"
refuses 'whole number from 1' --peer a=b -t 0
refuses 'whole number from 1' --peer a=b -t 1,
refuses 'whole number from 0' --peer a=b -p x
refuses 'is not closed' --peer a=b --options "--head 'full"
refuses 'ask for nothing' --peer a=b -p 0 -n 0
exit $failed
