// about
import 'dart:io';
/// Signs.
class Signer extends Base {
  final String key;
  Signer(this.key);
  String sign(String s) { return s; }
  String get name => key;
}
mixin Logs { void log() {} }
enum Mode { a, b }
extension More on String { bool get empty => true; }
typedef Done = void Function(int);
int top(int a) => a;
