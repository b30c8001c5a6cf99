//! about
const std = @import("std");
/// A point.
pub const P = struct {
    x: i32,
    pub fn norm(self: P) i32 { return self.x; }
};
const Mode = enum { a, b };
pub fn main() !void {}
test "adds" { }
