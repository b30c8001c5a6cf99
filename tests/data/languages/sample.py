# héllo
import os
MAX = 3
x = 4

# leads ü
@deco
@deco2(1)
class Signer(Base):
    """doc"""
    A = 1
    def sign(self):
        def inner(): pass
        return 1

    # c
    @property
    async def p(self): ...

def top(): pass
