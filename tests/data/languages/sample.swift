import Foundation
/// Signs.
public class Signer: Base {
    let key: String
    init(key: String) { self.key = key }
    func sign(_ s: String) -> String { return s }
}
struct P { var x: Int }
enum Mode { case a, b }
protocol CanSign { func sign(_ s: String) -> String }
extension Signer { func check() -> Bool { true } }
func top(a: Int) -> Int { a }
