#!/usr/bin/perl
package Acme::Signer;
use strict;
# Signs.
sub sign {
    my ($self, $text) = @_;
    return $text;
}
package Acme::Other { sub run { 1 } }
1;
