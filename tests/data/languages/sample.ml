(* about *)
open List
(** Signs. *)
let sign s = s ^ "k"
let rec fact n = if n = 0 then 1 else n * fact (n - 1)
type mode = A | B
module Keys = struct
  let limit = 3
  let check s = s <> ""
end
module type CAN_SIGN = sig val sign : string -> string end
exception Broken of string
class signer = object method sign s = s end
