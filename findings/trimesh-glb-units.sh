#!/usr/bin/env bash
# trimesh 5.2.0 and the unit of a GLB.
#
# Seen: the unit of a GLB is taken from `extras.units` of a mesh alone. Said on the scene or on the asset it is not heard, and the
# mesh counts as "meters", which is what glTF says of itself. "microns" is a unit to trimesh and converts; "micrometers" is
# kept as a word, and converting from it raises a ValueError, although both are names of one length.
# So a writer of micrometre meshes says "microns", and says it on every mesh.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet trimesh==5.2.0 numpy==2.3.5
"$folder/venv/bin/python" - "$folder" <<'PY'
import json, pathlib, struct, sys
import trimesh

assert trimesh.__version__ == "5.2.0", trimesh.__version__
folder = pathlib.Path(sys.argv[1])

def glb(name, on):
    """One triangle; `on` puts extras on parts of the document."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    faces = struct.pack("<3I", 0, 1, 2)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": len(points) + len(faces)}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points), "target": 34962},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(faces), "target": 34963},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]},
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
    }
    on(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = points + faces
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    path = folder / name
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return trimesh.load(path)

def extras(part, word):
    return lambda d: part(d).update(extras={"units": word})

nothing = glb("nothing.glb", lambda d: None).units
asset = glb("asset.glb", extras(lambda d: d["asset"], "microns")).units
scene = glb("scene.glb", extras(lambda d: d["scenes"][0], "microns")).units
mesh = glb("mesh.glb", extras(lambda d: d["meshes"][0], "microns"))
words = glb("words.glb", extras(lambda d: d["meshes"][0], "micrometers"))
print("nothing said:", nothing, "| on the asset:", asset, "| on the scene:", scene, "| on the mesh:", mesh.units)
size = float(mesh.convert_units("millimeters").extents[0])
print("one micron as millimeters:", size)
try:
    words.convert_units("millimeters")
    converted = "converted"
except ValueError as error:
    converted = f"ValueError"
print("micrometers:", words.units, "->", converted)
assert (nothing, asset, scene, mesh.units) == ("meters", "meters", "meters", "microns"), "the places have changed"
assert abs(size - 1e-3) < 1e-9 and converted == "ValueError", "the words have changed"
PY
echo "as described"
