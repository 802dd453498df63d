"""The SBOM: every library with version, licence, and the hash of each wheel."""

from __future__ import annotations

import hashlib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from artifacts.wheels import locked, wheels_of


def make(target: Path, wheels: Path, version: str, when: int) -> None:
    """Write the SBOM (CycloneDX 1.6): every library with version, licence, and the hash of each wheel that was used."""
    from email import message_from_bytes
    from uuid import UUID

    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    licences = LicenseFactory()
    bom = Bom(serial_number=UUID(hashlib.sha256(f"bilbs {version} {when}".encode()).hexdigest()[:32]))
    bom.metadata.timestamp = datetime.fromtimestamp(when, UTC)
    own = Component(
        name="bilbs-cli",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="bilbs-cli",
        licenses=[licences.make_from_string("Apache-2.0")],
    )
    bom.metadata.component = own
    for library, wanted in locked().items():
        used = wheels_of(wheels, library, wanted)
        with zipfile.ZipFile(used[0]) as archive:
            name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            meta = message_from_bytes(archive.read(name))
        licence = meta.get("License-Expression") or meta.get("License") or ""
        text = (
            licence
            if licence and "\n" not in licence and len(licence) < 80
            else next(
                (row.rpartition(" :: ")[2] for row in meta.get_all("Classifier", []) if row.startswith("License ::")),
                "see its dist-info",
            )
        )
        for path in used:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found = Component(
                name=library,
                version=wanted,
                type=ComponentType.LIBRARY,
                bom_ref=path.name,
                licenses=[licences.make_from_string(text)],
                purl=PackageURL("pypi", None, library, wanted, {"file_name": path.name}),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            )
            bom.components.add(found)
            bom.register_dependency(own, [found])
    target.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")
