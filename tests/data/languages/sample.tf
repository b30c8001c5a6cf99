# about
terraform {
  required_version = ">= 1.0"
}
variable "region" {
  default = "eu"
}
# The server.
resource "aws_instance" "web" {
  ami = "x"
  ebs_block_device {
    size = 3
  }
}
locals { a = 1 }
