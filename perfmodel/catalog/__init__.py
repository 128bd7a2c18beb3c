"""Files and names: strict YAML and JSON, typed validation, the built-in devices and networks.

`validation` is imported where a file is validated and not here: pydantic costs
a tenth of a second that `perfmodel list` need not pay.
"""

from perfmodel.catalog.builtin import builtin_names, looks_like_path, resolve
from perfmodel.catalog.strict_json import load_json, parse_json
from perfmodel.catalog.strict_yaml import Document, load_document, parse_document

__all__ = [
    "Document",
    "builtin_names",
    "load_document",
    "load_json",
    "looks_like_path",
    "parse_document",
    "parse_json",
    "resolve",
]
