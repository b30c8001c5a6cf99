package acme
/** Signs. */
class Signer(key: String) extends Base {
  def sign(s: String): String = s + key
}
object Signer { val Limit = 3; def make() = new Signer("k") }
trait CanSign { def sign(s: String): String }
case class P(x: Int)
enum Mode { case A, B }
