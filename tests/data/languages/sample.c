#define M 1
#define F(x) x
/* doc */
static int *foo(int a) { return 0; }
typedef struct { int a; } T;
struct s { int b; };
enum e { A };
