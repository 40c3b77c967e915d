std = "min+luajit"
max_line_length = 120
globals = { "setfenv" }
files["tests/spec"] = { std = "luajit+busted" }
exclude_files = { "build" }
