<?php
namespace Acme;
/** Signs. */
#[Attr]
class Signer extends Base {
    const LIMIT = 3;
    public function sign(string $s): string { return $s; }
}
interface CanSign { public function sign(string $s); }
trait Logs { function log() {} }
enum Mode: string { case A = "a"; }
function top($a) { return $a; }
