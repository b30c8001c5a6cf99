-- about
local M = {}
-- Signs.
function M.sign(s)
  return s
end
local function check(s) return s ~= "" end
function M:load() end
M.run = function() end
return M
