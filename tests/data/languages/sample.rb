# about
require "set"
module Acme
  LIMIT = 3
  # Signs.
  class Signer < Base
    attr_reader :key
    def sign(text)
      text + key
    end

    def self.make = new
  end
end
def top
end
