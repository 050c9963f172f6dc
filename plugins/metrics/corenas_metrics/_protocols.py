"""Protocols of metrics, as SR papers quote them: channels compared, and pixels cut off."""

from __future__ import annotations

from attrs import frozen


@frozen
class Protocol:
    """The channels compared, and the pixels cut off every side: ``scales * scale + extra``.

    ``rounded`` says that Y is rounded to integers, as MATLAB's ``rgb2ycbcr`` does with uint8.
    """

    text: str
    luma: bool = False
    rounded: bool = False
    scales: int = 1
    extra: int = 0

    def shave(self, scale: int) -> int:
        """Return the pixels cut off every side at this up-scaling factor."""
        return self.scales * scale + self.extra


_Y = "Y of BT.601 studio range, shave = scale"

PROTOCOLS = {
    "y": Protocol(f"{_Y}, unrounded", luma=True),
    "y-rounded": Protocol(f"{_Y}, rounded", luma=True, rounded=True),
    "rgb": Protocol("RGB, shave 0", scales=0),
    # EDSR's protocol for DIV2K alone; its numbers on benchmarks are of Y, with shave = scale.
    "edsr-div2k": Protocol("RGB, shave = scale + 6", extra=6),
    "ntire": Protocol("RGB, shave = scale"),
}


@frozen
class NiqeProtocol:
    """The plane that NIQE measures, rounded to integers, and the pixels cut off every side."""

    text: str
    luma: bool
    shave: int = 0


NIQE_PROTOCOLS = {
    "live": NiqeProtocol("LIVE release, grey by rgb2gray, shave 0", luma=False),
    "y": NiqeProtocol("LIVE release, Y of BT.601 studio range, rounded, shave 0", luma=True),
    "pirm": NiqeProtocol(
        "LIVE release, Y of BT.601 studio range, rounded, shave 4", luma=True, shave=4
    ),
}


@frozen
class LpipsNet:
    """The trunk whose features LPIPS compares, and the least side it can take, in pixels."""

    trunk: str
    least: int


# The least sides: of smaller images, poolings leave nothing in the deepest layer.
LPIPS_NETS = {
    "vgg": LpipsNet("vgg16", 16),
    "alex": LpipsNet("alexnet", 31),
    "squeeze": LpipsNet("squeezenet1_1", 17),
}


ST_LPIPS_NETS = {"alex": LpipsNet("st-alexnet", 21), "vgg": LpipsNet("st-vgg16", 18)}


def st_lpips_text(net: str) -> str:
    """Return the protocol of ST-LPIPS with this network."""
    return f"ST-LPIPS v0.0, net {net}, RGB, shave 0"


def lpips_text(net: str) -> str:
    """Return the protocol of LPIPS with this network."""
    return f"LPIPS v0.1, net {net}, RGB, shave 0"
