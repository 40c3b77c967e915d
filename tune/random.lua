-- random: the same whole numbers from 1 to n in every run.

return function(seed)
  local state = seed
  return function(n)
    state = (state * 16807) % 2147483647
    return state % n + 1
  end
end
