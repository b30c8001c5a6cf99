# about
defmodule Acme.Signer do
  @moduledoc "Signs."
  @limit 3
  # Signs.
  def sign(text, key) when is_binary(text) do
    text <> key
  end
  defp check(text), do: text != ""
  defmacro twice(e), do: e
end
defprotocol CanSign do
  def sign(x)
end
