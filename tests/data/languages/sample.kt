package acme
import java.util.*
/** Signs. */
class Signer(val key: String) : Base() {
    fun sign(s: String): String { return s }
    companion object {
        fun make() = Signer("k")
    }
}
interface CanSign {
    fun sign(s: String): String
}
object Registry {
    val all = listOf<String>()
}
data class P(val x: Int)
enum class Mode { A, B }
typealias Key = String
fun top(a: Int): Int = a
const val LIMIT = 3
