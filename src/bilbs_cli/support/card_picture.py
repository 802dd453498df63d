"""The wallet card as a picture of ISO/IEC 7810 ID-1 size (85.60 x 53.98 mm): SVG, PNG at 300 dpi, and the QR code alone."""

import io
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from bilbs_cli.escape import visible
from bilbs_cli.support import qr
from bilbs_cli.support.card import WalletCard
from bilbs_cli.tables import clip

WIDTH_MM, HEIGHT_MM, RADIUS_MM = 85.60, 53.98, 3.18
DPI = 300
QR_MM = 25.0
INK, PAPER, ACCENT, FAINT = "#16181d", "#ffffff", "#0b6e4f", "#5b6470"
QR_ALONE_PX = 12  # of one module


class Text(NamedTuple):
    """A line of text: left and baseline in mm from the top left corner, the height of its letters' em in mm."""

    x: float
    y: float
    size: float
    text: str
    colour: str
    bold: bool = False


def layout(card: WalletCard) -> tuple[Text, ...]:
    """Return the texts of the card; what does not fit into its line is cut with `...`."""
    number = card.value("pager")
    texts = [
        Text(5, 8.6, 3.6, _fit(f"{card.provider} support", 40), ACCENT, bold=True),
        Text(5, 15.0, 2.4, "24/7 PAGER - SEV-1 ONLY", FAINT, bold=True),
        Text(5, 22.2, _number_size(number), _fit(number or "no number known", 26), INK, bold=True),
    ]
    at = 30.2
    for line in card.lines:
        if line.field != "pager" and line.value:
            texts += [Text(5, at, 2.1, line.label, FAINT), Text(20, at, 2.6, _fit(line.value, 28), INK)]
            at += 4.4
    texts.append(Text(5, 50.2, 1.9, "on the box: bilbs support pager   bilbs support contacts", FAINT))
    return tuple(texts)


def _number_size(number: str) -> float:
    """Return a size at which a number of that length stays clear of the code beside it."""
    return min(6.0, 48.0 / max(0.6 * len(number), 1))


def _fit(text: str, letters: int) -> str:
    return clip(visible(text), letters)


def _code(card: WalletCard) -> tuple[list[list[bool]], float, float]:
    """Return the modules of the QR code (none without a number) and its left and top edge in mm."""
    return (qr.modules(card.uri) if card.uri else []), WIDTH_MM - QR_MM - 4.0, 6.0


def svg(card: WalletCard) -> str:
    """Return one SVG document: no script, no font, no picture from elsewhere; text from outside is escaped."""
    modules, left, top = _code(card)
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm" viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}">',
        f"<title>{escape(visible(card.provider))} support card</title>",
        f'<rect x="0.1" y="0.1" width="{WIDTH_MM - 0.2:g}" height="{HEIGHT_MM - 0.2:g}" rx="{RADIUS_MM}" fill="{PAPER}" stroke="{FAINT}" stroke-width="0.2"/>',
        f'<rect x="5" y="10.2" width="12" height="0.6" fill="{ACCENT}"/>',
        *map(_svg_text, layout(card)),
    ]
    if modules:
        size = QR_MM / len(modules)
        path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(modules) for x, dark in enumerate(row) if dark)
        shapes.append(
            f'<path transform="translate({left} {top}) scale({size:.5f})" fill="{INK}" shape-rendering="crispEdges" d="{path}"/>'
        )
    return "\n".join([*shapes, "</svg>"]) + "\n"


def _svg_text(one: Text) -> str:
    weight = ' font-weight="700"' if one.bold else ""
    return f'<text x="{one.x}" y="{one.y}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="{one.size:.2f}"{weight} fill="{one.colour}">{escape(one.text)}</text>'


def png(card: WalletCard) -> bytes:
    """Return a PNG of the card at 300 dpi."""
    from PIL import Image, ImageDraw, ImageFont

    def px(mm: float) -> int:
        return round(mm * DPI / 25.4)

    image = Image.new("RGB", (px(WIDTH_MM), px(HEIGHT_MM)), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((1, 1, image.width - 2, image.height - 2), px(RADIUS_MM), outline=FAINT, width=2)
    draw.rectangle((px(5), px(10.2), px(17), px(10.8)), fill=ACCENT)
    for one in layout(card):
        font = ImageFont.load_default(px(one.size))
        draw.text((px(one.x), px(one.y)), one.text, one.colour, font, anchor="ls", stroke_width=1 if one.bold else 0)
    modules, left, top = _code(card)
    if modules:
        _draw_code(draw, modules, px(left), px(top), px(QR_MM) // len(modules))
    return _bytes(image)


def qr_png(card: WalletCard) -> bytes:
    """Return a PNG of the QR code alone, its quiet zone included. The card must have a number."""
    from PIL import Image, ImageDraw

    modules = qr.modules(card.uri)
    side = len(modules) * QR_ALONE_PX
    image = Image.new("RGB", (side, side), PAPER)
    _draw_code(ImageDraw.Draw(image), modules, 0, 0, QR_ALONE_PX)
    return _bytes(image)


def _draw_code(draw, modules: Sequence[Sequence[bool]], left: int, top: int, size: int) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - Pillow's, imported when used
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            if dark:
                at = (left + x * size, top + y * size)
                draw.rectangle((*at, at[0] + size - 1, at[1] + size - 1), fill=INK)


def _bytes(image) -> bytes:  # type: ignore[no-untyped-def] # noqa: ANN001 - Pillow's, imported when used
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(DPI, DPI), optimize=True)
    return out.getvalue()
