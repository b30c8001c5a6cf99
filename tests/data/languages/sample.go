package main
// Doc for S
type S struct { a int }
type (
 I interface { M() }
 X int
)
const (
 A = 1
 B = 2
)
// Run it
func (s *S) Run() error { return nil }
func (s List[T]) Len() int { return 1 }
func main() {}
