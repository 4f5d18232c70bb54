#!/usr/bin/env bash
# SimpleITK 2.5.7, nibabel 5.4.2 and the scale factors of NIfTI-1.
#
# The standard (nifti1.h, "DATA SCALING"): values are scl_slope * x + scl_inter where scl_slope is not 0; it is ignored for
# RGB24; of complex numbers it counts for both parts.
# Seen: SimpleITK adds scl_inter where scl_slope is 0; it scales RGB24; it scales 32-bit whole numbers in float32, so that
# 16777217 + 1 becomes 16777216. nibabel adds scl_inter to the real part alone, and fails on RGB24 with a factor.
# So who exchanges values with either writes 1 and 0, or no factor at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.3.5
"$folder/venv/bin/python" - "$folder/a.nii" <<'PY'
import sys
import nibabel, numpy as np
import SimpleITK as sitk

path = sys.argv[1]

def written(values, slope, inter):
    """A file of 2 x 2 x 2 equal voxels with these factors, which stand at bytes 112 and 116 of the head."""
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    data = bytearray(open(path, "rb").read())
    data[112:120] = np.array([slope, inter], "<f4").tobytes()
    open(path, "wb").write(data)

def by_itk():
    values = sitk.GetArrayFromImage(sitk.ReadImage(path))
    return values[0, 0, 0], values.dtype

def by_nibabel():
    return np.asarray(nibabel.load(path).dataobj)[0, 0, 0]

written(np.full((2, 2, 2), 7, "u1"), 0, 5)
print("7, factor 0, offset 5: meant 7; nibabel", by_nibabel(), "SimpleITK", *by_itk())
assert by_nibabel() == 7 and by_itk()[0] == 12

written(np.full((2, 2, 2), 16777217, "i4"), 1, 1)
print("16777217, offset 1: meant 16777218; nibabel", by_nibabel(), "SimpleITK", *by_itk())
assert by_nibabel() == 16777218 and by_itk()[0] == 16777216

written(np.full((2, 2, 2), 1 + 2j, "c8"), 2, 3)
print("1+2j, factor 2, offset 3: meant 5+7j; nibabel", by_nibabel(), "SimpleITK", *by_itk())
assert by_nibabel() == 5 + 4j and by_itk()[0] == 5 + 7j

colours = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])
colours["R"] = 100
written(colours, 2, 0)
red = sitk.GetArrayFromImage(sitk.ReadImage(path))[0, 0, 0]
try:
    by_nibabel()
    raise SystemExit("nibabel reads it now")
except TypeError as error:
    print("red 100, factor 2: meant 100; SimpleITK", red, "nibabel", type(error).__name__)
assert red[0] == 200
PY
echo "seen as described"
