#!/usr/bin/env bash
# nibabel 5.4.2 and SimpleITK 2.5.7, and a NIfTI file whose unit of length is µm (xyzt_units 3), as microscopes have it.
#
# Seen: the affine of nibabel is in the unit of the file, whichever it is (µm here), and nothing in it says so; SimpleITK turns
# spacing and origin into mm and forgets the unit. The same voxel is at (10, 20, 30) for one and at (-0.01, -0.02, 0.03) for
# the other: a factor of 1000, and the sign of x and y (RAS and LPS). Saved again by SimpleITK the unit of the file is mm.
# So landmarks and transforms that were made with one of both are wrong by 1000 with the other, and labels that went through
# a program built on ITK no longer say µm. In mm, the unit of medicine, nobody notices.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env && env/bin/pip install --quiet nibabel==5.4.2 SimpleITK==2.5.7 numpy==2.3.5
cat > look.py <<'PY'
import nibabel, numpy as np, SimpleITK as sitk

affine = np.diag([2.0, 3.0, 4.0, 1.0])
affine[:3, 3] = [10.0, 20.0, 30.0]
for unit in ("mm", "micron"):
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), "i2"), affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, "a.nii")
    nib, itk = nibabel.load("a.nii"), sitk.ReadImage("a.nii")
    sitk.WriteImage(itk, "b.nii")
    again = nibabel.load("b.nii").header
    show = lambda numbers: " ".join(f"{float(n):g}" for n in numbers)
    print(f"{unit}: nibabel {show(nib.affine[:3, 3])}; SimpleITK {show(itk.GetOrigin())}, spacing {show(itk.GetSpacing())}; saved again {show(again.get_zooms())} {again.get_xyzt_units()[0]}")
PY
found=$(env/bin/python look.py)
echo "$found"
expected='mm: nibabel 10 20 30; SimpleITK -10 -20 30, spacing 2 3 4; saved again 2 3 4 mm
micron: nibabel 10 20 30; SimpleITK -0.01 -0.02 0.03, spacing 0.002 0.003 0.004; saved again 0.002 0.003 0.004 mm'
[ "$found" = "$expected" ] || { echo "one of both has changed" >&2; exit 1; }
echo "as described"
