module Acme.Keys where
import Data.List
-- | Signs.
sign :: String -> String
sign s = s ++ key
  where key = "k"

data Mode = A | B deriving Show
newtype Key = Key String
type Name = String
class CanSign a where
  signWith :: a -> String
instance CanSign Key where
  signWith (Key k) = k
