-- Draws names from the file in NAMES, each thread its own sequence, and asks for PREFIX and the name.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("seed", threads)
end

function init(args)
  names = {}
  prefix = os.getenv("PREFIX")
  for name in io.lines(os.getenv("NAMES")) do
    names[#names + 1] = name
  end
  math.randomseed(seed)
end

function request()
  return wrk.format("GET", prefix .. names[math.random(#names)])
end
