"""Writes small PDFs by hand for the tests: pages with drawing commands, and whatever objects a test needs besides."""

import zlib

FONTS = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"


class PdfBytes:
    """A PDF under construction. Objects 1 to 5: catalog, pages, Helvetica, Helvetica bold, information."""

    def __init__(self, title: str = "") -> None:
        self.catalog = ""
        self._title = title
        self._objects: list[bytes] = [b""] * 5
        self._pages: list[int] = []

    def add(self, content: str | bytes) -> int:
        """Add an object; its number."""
        self._objects.append(content.encode("latin-1") if isinstance(content, str) else content)
        return len(self._objects)

    def stream(self, data: bytes, entries: str = "") -> int:
        """Add a packed stream; its number."""
        packed = zlib.compress(data)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode {entries} >>\nstream\n"
        return self.add(head.encode() + packed + b"\nendstream")

    def page(self, drawn: str = "", entries: str = "", resources: str = FONTS) -> int:
        """Add a page that draws something; its number."""
        content = self.stream(drawn.encode("latin-1"))
        box = "/MediaBox [0 0 612 792]"
        page = f"<< /Type /Page /Parent 2 0 R /Resources {resources} {box} /Contents {content} 0 R {entries} >>"
        self._pages.append(self.add(page))
        return self._pages[-1]

    def broken_page(self) -> None:
        """Add a page whose object is not there."""
        self._pages.append(self.add("null"))

    def bytes(self) -> bytes:
        """The file."""
        kids = " ".join(f"{number} 0 R" for number in self._pages)
        first = [
            f"<< /Type /Catalog /Pages 2 0 R {self.catalog} >>",
            f"<< /Type /Pages /Count {len(self._pages)} /Kids [{kids}] >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>",
            f"<< /Title ({self._title}) >>",
        ]
        out, offsets = b"%PDF-1.7\n", []
        for number, content in enumerate([part.encode("latin-1") for part in first] + self._objects[5:], 1):
            offsets.append(len(out))
            out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
        size = len(offsets) + 1
        xref = f"xref\n0 {size}\n0000000000 65535 f \n" + "".join(f"{at:010d} 00000 n \n" for at in offsets)
        return out + f"{xref}trailer << /Size {size} /Root 1 0 R /Info 5 0 R >>\nstartxref\n{len(out)}\n%%EOF".encode()


def words(x: float, y: float, text: str, size: float = 10, font: str = "F1") -> str:
    """Drawing commands for a line of text."""
    return f"BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n"


def grid(xs: list[float], ys: list[float]) -> str:
    """Drawing commands for the rules of a table."""
    level = "".join(f"{xs[0]} {y} m {xs[-1]} {y} l S\n" for y in ys)
    return "0.5 w\n" + level + "".join(f"{x} {ys[0]} m {x} {ys[-1]} l S\n" for x in xs)


def simple_pdf(pages: list[str | None], title: str = "", broken: tuple[int, ...] = ()) -> bytes:
    """A PDF with one line of Helvetica on each page; None for a page without text."""
    made = PdfBytes(title)
    for number, text in enumerate(pages, 1):
        if number in broken:
            made.broken_page()
        else:
            made.page(words(72, 700, text, 24) if text is not None else "")
    return made.bytes()
