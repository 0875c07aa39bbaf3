"""The upgrade of v2 configuration to v3, on plain trees; `trio_envoy.config.v2.upgrade` is the entrance.

Up to 1.17 Envoy read two versions of its API; the older one differs from today's in where messages live (package
names), in a few field names, in 61 fields that are gone, and in extensions that were configured by name with an untyped
Struct. Both are one on the wire: a field that is in both has the same number. So:

* `scan`: is anything in this document v2 at all? Cheap; most documents end here.
* `walk`: goes through the document with the v2 and the v3 descriptor of each message side by side, renames by number.
* `document`: the walk of a whole document.
* `holders`: messages that hold an extension: names, `config` Structs, missing `@type`s.
* `*_rules`: one function for each field that is gone.
* `text_tree`, `emit`: the same for a text, whose comments and layout are kept.
"""
