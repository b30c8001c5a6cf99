namespace n {
template <class T>
class V : public B { public: V() {} int m() const { return 1; } ~V(); };
// d
int V::z(int a) { return 1; }
}
template<typename T> T f(T a) { return a; }
