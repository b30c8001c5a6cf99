package a;
/** doc */
@Ann
public class A {
  int f;
  A() {}
  @Override public int m() { return 1; }
  enum E { X }
  interface I { void q(); }
}
record R(int a) {}
