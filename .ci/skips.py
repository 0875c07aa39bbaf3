"""Fail on skipped tests that nobody has explained: python3 skips.py REPORT.xml ALLOWED.txt.

ALLOWED.txt has a line per reason, `text that the skip's reason contains # why that is all right`.
"""

import sys
from xml.etree import ElementTree


def main(report, allowed):
    with open(allowed) as lines:
        known = [line.split("#")[0].strip() for line in lines]
    known = [text for text in known if text]
    bad = []
    for case in ElementTree.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            reason = skipped.get("message") or ""
            if not any(text in reason for text in known):
                bad.append(f"{case.get('classname')}.{case.get('name')}: {reason}")
    for line in bad:
        print(f"skipped without a known reason: {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
