"""What the program writes, opened by the libraries of the field; scripts/check-written runs it."""
import json, pathlib, subprocess, sys, tempfile
import numpy as np
WW, D = sys.argv[1], pathlib.Path(tempfile.mkdtemp())
bad = 0

def ww(*args):
    p = subprocess.run([WW, *map(str, args), "--json"], capture_output=True, text=True)
    if p.returncode: raise RuntimeError(p.stderr.strip()[-300:])
    return json.loads(p.stdout)

def check(name, work):
    global bad
    try: said = work()
    except Exception as e: said = f"{type(e).__name__}: {str(e)[:200]}"
    good = said is True or said is None
    bad += not good
    print("ok   " if good else "FAULT", name, "" if good else f"| {said}", flush=True)

def same(a, b): return True if np.array_equal(np.asarray(a).astype("f8").squeeze(), np.asarray(b).astype("f8").squeeze()) else f"{np.asarray(b).dtype} {np.asarray(b).shape}: other values"

rng = np.random.default_rng(3)
SHAPE = (5, 14, 18)
ARRAYS = {t: (rng.normal(0, 1, SHAPE) if np.dtype(t).kind == "f" else rng.integers(max(np.iinfo(t).min, -2**31), min(np.iinfo(t).max, 2**32 - 1), SHAPE, endpoint=True)).astype(t)
          for t in ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")}
VOXEL = [0.03, 0.02, 0.01]
for t, a in ARRAYS.items():
    np.save(D / f"{t}.npy", a)
    json.dump({"waterwindow_sidecar": 1, "voxel_um": VOXEL, "origin_um": [0, 0, 0], "unit": "1/um" if t[0] == "f" else "arbitrary"}, open(D / f"{t}.npy.json", "w"))

import mrcfile, tifffile, h5py, zarr, skimage.io
for t, a in ARRAYS.items():
    src = D / f"{t}.npy"
    def mrc(src=src, a=a, t=t):
        ww("convert", src, D / f"{t}.mrc")
        if not mrcfile.validate(D / f"{t}.mrc", print_file=sys.stderr): return "mrcfile does not validate it"
        with mrcfile.open(D / f"{t}.mrc") as f:
            if abs(float(f.voxel_size.x) - 100) > 1e-3 or abs(float(f.voxel_size.z) - 300) > 1e-3: return f"voxel {f.voxel_size}"
            return same(a if t not in ("f8",) else a.astype("f4"), f.data)
    if t not in ("u4", "i4"): check(f"MRC {t}, mrcfile", mrc)
    def tif(src=src, a=a, t=t):
        ww("convert", src, D / f"{t}.tif")
        return same(a, tifffile.imread(D / f"{t}.tif"))
    check(f"TIFF {t}, tifffile", tif)
    check(f"TIFF {t}, scikit-image", lambda a=a, t=t: same(a, skimage.io.imread(D / f"{t}.tif")))
    def ome(src=src, a=a, t=t):
        ww("convert", src, D / f"{t}.ome.tif")
        with tifffile.TiffFile(D / f"{t}.ome.tif") as f:
            if not f.is_ome: return "no OME-TIFF for tifffile"
            return same(a, f.asarray())
    check(f"OME-TIFF {t}, tifffile", ome)
    def hdf(src=src, a=a, t=t):
        ww("convert", src, D / f"{t}.h5")
        found = []
        with h5py.File(D / f"{t}.h5") as f: f.visititems(lambda n, d: found.append(d[()]) if isinstance(d, h5py.Dataset) and d.ndim == 3 else None)
        return same(a, found[0])
    check(f"HDF5 {t}, h5py", hdf)
    def zar(src=src, a=a, t=t):
        ww("convert", src, D / f"{t}.zarr")
        g = zarr.open_group(D / f"{t}.zarr", mode="r")
        return same(a, g["0"][:])
    check(f"OME-Zarr {t}, zarr-python", zar)
def models():
    import ome_zarr_models
    return None if ome_zarr_models.open_ome_zarr(zarr.open_group(D / "f4.zarr", mode="r")) is not None else "nothing"
check("OME-Zarr, ome-zarr-models", models)
def two_and_four():
    for n in (2, 3, 4):
        np.save(D / "n.npy", ARRAYS["u2"][:n]); ww("convert", D / "n.npy", D / "n.tif")
        if (said := same(ARRAYS["u2"][:n], tifffile.imread(D / "n.tif"))) is not True: return f"{n} planes: {said}"
check("TIFF of 2, 3 and 4 planes, tifffile", two_and_four)

demo = D / "demo"
ww("demo", "--size", 32, "--out", demo)
def nx():
    from nxtomo import NXtomo
    t = NXtomo().load(str(demo / "scan.h5"), "entry")
    n = sum(getattr(key, 'value', key) == 0 for key in t.instrument.detector.image_key_control)
    truth = json.load(open(demo / "truth.json"))
    px = getattr(t.sample, "x_pixel_size", None) or t.instrument.detector.x_pixel_size
    um = float(px.to("micrometer").magnitude) if hasattr(px, "to") else float(px) * 1e6
    if abs(um - truth["voxel_um"] if isinstance(truth["voxel_um"], float) else um - truth["voxel_um"][2]) > 1e-6: return f"pixel {px}"
    if t.energy is None: return "no energy"
    return None if n == len(truth["shifts_yx"]) else f"{n} projections"
check("NXtomo, nxtomo", nx)
def scan():
    from tomoscan.esrf.scan.nxtomoscan import NXtomoScan
    s = NXtomoScan(str(demo / "scan.h5"), "entry")
    if not s.energy: return "no energy"
    return None if len(s.projections) > 0 else "no projections"
check("NXtomo, tomoscan", scan)
def labels_in():
    ww("convert", demo / "truth.mrc", D / "cell.zarr")
    ww("convert", demo / "labels.mrc", D / "labels.zarr")
    g = zarr.open_group(D / "labels.zarr", mode="r")
    return same(mrcfile.read(demo / "labels.mrc"), g["0"][:])
check("labels as OME-Zarr, zarr-python", labels_in)
def glb():
    import trimesh
    ww("mesh", demo / "labels.mrc", "-o", D / "cell.glb")
    m = trimesh.load(D / "cell.glb")
    return None if m.units else "trimesh finds no unit"
check("GLB with its unit, trimesh", glb)
for kind in ("ply", "stl", "obj"):
    def mesh(kind=kind):
        import trimesh
        ww("mesh", demo / "labels.mrc", "-o", D / f"cell.{kind}")
        return None if len(trimesh.load(D / f"cell.{kind}", force="mesh").faces) > 100 else "no faces"
    check(f"mesh as {kind}, trimesh", mesh)
print(f"{bad} faults"); sys.exit(bad > 0)
