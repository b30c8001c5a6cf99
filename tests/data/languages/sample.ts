// c
export abstract class A<T> extends B {
  @dec() foo(): number { return 1 }
  bar = () => 1
}
export const f = (x: number) => x, g = 3;
export interface I { a: string }
type T = string; enum E { A }
namespace N { export function q() {} }
export default function main() {}
