#!/usr/bin/env bash
# h5py 3.16.0 (HDF5 2.0.0), libver="latest", and virtual datasets that h5py 3.14.0 (HDF5 1.14.6) cannot open.
#
# Seen: whether an older library opens a virtual dataset depends on the names of its sources. Where a source lies in the file
# itself, or where long names of files or datasets repeat, the list of sources is written
# in a second version that shares names, and HDF5 1.14 refuses the dataset with a KeyError; where names are short and lie in
# other files the first version is written, and opens. The rest of the file opens in both cases. With libver unset the first
# version is always written.
# So one scan of a beamline opens and the next does not, by the length of a path. A reader needs both versions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv new && new/bin/pip install --quiet h5py==3.16.0 numpy==2.3.5
python3 -m venv old && old/bin/pip install --quiet h5py==3.14.0 numpy==2.3.5
cat > write.py <<'PY'
import h5py, numpy as np

assert h5py.version.hdf5_version == "2.0.0", h5py.version.hdf5_version
values = np.arange(60, dtype="u2").reshape(3, 4, 5)

def write(name, sources, libver):
    with h5py.File(name, "w", libver=libver) as file:
        file["plain"] = values
        layout = h5py.VirtualLayout((3 * len(sources), 4, 5), "u2")
        for n, (where, dataset) in enumerate(sources):
            layout[3 * n : 3 * n + 3] = h5py.VirtualSource(where, dataset, (3, 4, 5))
        file.create_virtual_dataset("virtual", layout)

for name in ("a.h5", "detector_frames.h5"):
    with h5py.File(name, "w") as file:
        file["d"] = values
write("short.h5", [("a.h5", "d")] * 3, "latest")
write("long.h5", [("detector_frames.h5", "d")] * 3, "latest")
write("itself.h5", [(".", "plain")] * 3, "latest")
write("unset.h5", [("detector_frames.h5", "d")] * 3, None)
PY
cat > read.py <<'PY'
import h5py

for name in ("short", "long", "itself", "unset"):
    with h5py.File(name + ".h5") as file:
        assert file["plain"].shape == (3, 4, 5)
        try:
            found = "right" if file["virtual"][6:, 0, 0].tolist() == [0, 20, 40] else "wrong"
        except KeyError:
            found = "KeyError"
        print(name, found)
PY
new/bin/python write.py
in_new=$(new/bin/python read.py)
in_old=$(old/bin/python read.py)
echo "HDF5 2.0.0:"; echo "$in_new"; echo "HDF5 1.14.6:"; echo "$in_old"
[ "$in_new" = $'short right\nlong right\nitself right\nunset right' ] || { echo "the new library has changed" >&2; exit 1; }
[ "$in_old" = $'short right\nlong KeyError\nitself KeyError\nunset right' ] || { echo "the old library has changed" >&2; exit 1; }
echo "as described"
