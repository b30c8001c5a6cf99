# about
library(stats)
# Signs.
sign_text <- function(s) {
  inner <- function(x) x
  paste0(s, "k")
}

check = function(s) nchar(s) > 0
print(sign_text("a"))
