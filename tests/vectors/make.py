"""Write the vectors beside this file, with `python tests/vectors/make.py`.

Run it for a new algorithm number only. What stands in the files is frozen: to change it is to move every user.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, Final

from graysplit.core.allocation import PLACES, Claim, allocate, anchor
from graysplit.core.bucketing import ALGORITHM, bucket_of, hash32, seed_of, threshold

HERE: Final = Path(__file__).parent

SALTS: Final = ("checkout", "", "überweisung", "a" * 100, "search-2026.ranking_b")
TEXTS: Final = (
    "user-17",
    "user-0",
    "1",
    "0",
    "-42",
    "18446744073709551616",
    "123e4567-e89b-12d3-a456-426614174000",
    "a",
    "ab",
    "abc",
    "abcd",
    "abcde",
    " leading and trailing ",
    "Zoë",
    "Zoe\u0308",
    "用户-17",
    "👩‍💻",
    "nul\x00inside",
    "\x00",
    "line\nbreak",
)
RAW: Final = ("ff", "00", "c328", "fffefd00", "deadbeef" * 8)
LONG: Final = (("a", 1_000), ("user-", 20_000), ("é", 65_537))

LAYOUTS: Final[tuple[tuple[str, tuple[tuple[str, int, int], ...]], ...]] = (
    ("nobody", (("new", 0, 0),)),
    ("one thousandth of a percent", (("new", 0, 1),)),
    ("one candidate at 20 %", (("new", 0, 20_000),)),
    ("one candidate at 100 %", (("new", 0, 100_000),)),
    ("one candidate in the second place", (("new", 1, 12_345),)),
    ("one candidate that goes round", (("new", 2, 80_000),)),
    ("one that goes down round the end, past another", (("b", 2, 10_000), ("c", 5, 30_000))),
    ("two that share everything", (("b", 0, 33_333), ("c", 1, 66_667))),
    ("the order of writing is no matter", (("c", 1, 5_000), ("b", 0, 10_000))),
    ("three that do not meet", (("b", 0, 20_000), ("c", 1, 20_000), ("d", 2, 30_000))),
    ("three that meet: b passes d's anchor", (("b", 0, 60_000), ("c", 1, 10_000), ("d", 2, 20_000))),
    ("four at 25 % each", tuple((name, place, 25_000) for place, name in enumerate("bcde"))),
    ("eight at 12.5 % each", tuple((name, place, 12_500) for place, name in enumerate("bcdefghi"))),
    ("a place in the middle was given up", (("b", 0, 10_000), ("d", 2, 10_000), ("e", 5, 10_000))),
    ("the last place", (("z", PLACES - 1, 3_125),)),
    ("one takes what others have left on both sides", (("b", 2, 10_000), ("c", 3, 10_000), ("d", 4, 80_000))),
)

WEIGHTS: Final[tuple[tuple[str, int | str], ...]] = (
    ("0", 0),
    ("", 0),
    ("null", 0),
    ('""', 0),
    ('"0"', 0),
    ("0.0", 0),
    ("000", 0),
    ("0.001", 1),
    ("5", 5_000),
    ("05", 5_000),
    ("12.5", 12_500),
    ("33.333", 33_333),
    ("99.999", 99_999),
    ("100", 100_000),
    ("100.000", 100_000),
    ("preview", "preview"),
)
NO_WEIGHTS: Final = (
    "x", "101", "100.001", "-1", "-0", "+5", "NaN", "nan", "inf", "1e999", "2e1", "1_0", " 20 ", "20 ", " ", "20%",
    "20\n", "٢٠", "\uff12\uff10", "0x14", "1.2345", "0.0001", "1.", ".5", "1,5", "1000", "{", "[]", '{"weight":',
    "true", "Preview", "NULL", "None", "20\x00",
)  # fmt: skip


def bucketing() -> dict[str, Any]:
    """Return known answers for salts, seeds, units, hashes and buckets."""
    cases = [_case(salt, {"text": text}, text.encode()) for salt in SALTS for text in TEXTS]
    cases += [_case("checkout", {"hex": raw}, bytes.fromhex(raw)) for raw in RAW]
    cases += [_case("checkout", {"repeat": part, "times": times}, part.encode() * times) for part, times in LONG]
    seed = seed_of("checkout")
    million = b"".join(struct.pack("<I", bucket_of(b"user-%d" % n, seed)) for n in range(1_000_000))
    edges = (0, 1, 2, 3, 4_999, 5_000, 20_000, 33_333, 50_000, 66_667, 99_998, 99_999, 100_000)
    return {
        "algorithm": ALGORITHM,
        "murmur3_32_verification": f"0x{_verification():08X}",
        "seeds": [{"salt": salt, "seed": seed_of(salt)} for salt in SALTS],
        "units": cases,
        "thresholds": [{"bucket": bucket, "least_hash": threshold(bucket)} for bucket in edges],
        "million": {
            "salt": "checkout",
            "units": "user-0 to user-999999",
            "buckets": "little-endian uint32, one after the other",
            "sha256": hashlib.sha256(million).hexdigest(),
        },
    }


def allocation() -> dict[str, Any]:
    """Return known answers for anchors and layouts."""
    anchors = [{"place": place, "anchor": anchor(place)[0], "upwards": anchor(place)[1]} for place in range(PLACES)]
    layouts = [
        {
            "name": name,
            "claims": [{"version": version, "place": place, "size": size} for version, place, size in claims],
            "runs": [
                {"start": run.start, "end": run.end, "version": run.version}
                for run in allocate(Claim(*claim) for claim in claims)
            ],
        }
        for name, claims in LAYOUTS
    ]
    return {"algorithm": ALGORITHM, "anchors": anchors, "layouts": layouts}


def weights() -> dict[str, Any]:
    """Return the texts that are weights, in thousandths of a percent, and texts that are none."""
    return {"weights": [{"text": text, "weight": weight} for text, weight in WEIGHTS], "refused": list(NO_WEIGHTS)}


def _case(salt: str, unit: dict[str, Any], raw: bytes) -> dict[str, Any]:
    seed = seed_of(salt)
    return {"salt": salt, "seed": seed, "unit": unit, "hash": hash32(raw, seed), "bucket": bucket_of(raw, seed)}


def _verification() -> int:
    """Return the value that SMHasher's VerificationTest computes for MurmurHash3_x86_32."""
    hashes = b"".join(struct.pack("<I", hash32(bytes(range(n)), 256 - n)) for n in range(256))
    return hash32(hashes, 0)


def main() -> None:
    """Write all files."""
    for name, content in (("bucketing", bucketing()), ("allocation", allocation()), ("weights", weights())):
        text = json.dumps(content, indent=1, ensure_ascii=True)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
