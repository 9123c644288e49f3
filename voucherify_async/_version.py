"""The version of the package, from the metadata of its distribution."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("voucherify-async")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0"
