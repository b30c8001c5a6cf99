# about
module Acme
const LIMIT = 3
"""
Signs.
"""
function sign(s::String)
    return s
end
# Checks.
check(s) = s != ""
struct P{T} <: Base
    x::T
end
abstract type Base end
macro twice(e) e end
end
