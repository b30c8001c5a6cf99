-module(acme).
-export([sign/1]).
-record(user, {name, age}).
%% Signs.
sign([]) -> [];
sign(S) ->
    S ++ "k".

check(S) -> S =/= [].
