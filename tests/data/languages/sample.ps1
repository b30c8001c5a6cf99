# about
$Limit = 3
# Signs.
function Get-Signature {
    param([string]$Text)
    return $Text
}
class Signer {
    [string]$Key
    Signer([string]$k) { $this.Key = $k }
    [string] Sign([string]$s) { return $s }
}
enum Mode { A; B }
filter Pick { $_ }
