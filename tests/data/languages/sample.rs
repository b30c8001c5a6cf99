//! mod
/// doc
#[derive(Debug)]
pub struct P { x: i32 }
impl fmt::Display for P {
  /// d
  fn fmt(&self) {} }
impl<T> P<T> { pub fn new() -> Self { P{} } }
trait T { fn a(&self); }
mod m { pub fn z() {} }
pub const C: i32 = 1;
macro_rules! mm { () => {} }
enum E { A }
