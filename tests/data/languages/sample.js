const K = 1;
const f = function() {};
export async function* gen() {}
class A { #p() {} static m() {} }
