std = "min"
max_line_length = 110
files["tune"] = { std = "luajit" }
files["bench"] = { std = "luajit" }
files["tests/spec"] = { std = "luajit+busted" }
exclude_files = { "build" }
