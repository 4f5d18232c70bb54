"""Writes manifest.tsv: what an independent library reads of every real file, and what this program says of it.

usage: python make.py WATERWINDOW DATA_FOLDER > manifest.tsv
needs: numpy imodmodel mrcfile tifffile imagecodecs h5py hdf5plugin zarr Pillow txrm2tiff olefile

A line is: verdict, path, shape (z, y, x), type, CRC-32 of the values as little-endian float64. Verdicts: `equal` (this program
gives the values of the independent library, of JPEG within 3 grey values), `refused` (with its sentence), `outside` (with the reason). A line that
begins with `DIFFERS` is a fault, to be looked at; tests/manifest.rs accepts none.
"""
import bz2, gzip, io, json, pathlib, subprocess, sys, tempfile, warnings, zlib
import numpy as np
warnings.simplefilter("ignore")
WW, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
TEMP = pathlib.Path(tempfile.mkdtemp())

OUTSIDE = {
    "test_byteshuffle_compressed_datasets_latest.hdf5": "marked as open for writing, which h5py does not open; this program reads it",  # what no reader of arrays is asked for, by the end of the path
    ".md": "text", ".txt": "text", ".json": "text", ".xml": "metadata without pixels", ".sff": "segmentation archive, not read yet", ".hff": "segmentation archive, not read yet",
    "LICENSE": "text", ".log": "text", ".edf": "settings of another program", ".pgm": "another picture format", ".jpg": "another picture format",
    ".mdoc": "companion of a stack", ".rawtlt": "companion of a stack", ".tlt": "companion of a stack", ".xtilt": "companion of a stack", ".xf": "an alignment", ".aln": "an alignment", "meshed_contour_example.mod": "open contours, which become lines", "meshed_curvature_example.mod": "open contours, which become lines", "multiple_objects_example.mod": "open contours, which become lines", "slicer_angle_example.mod": "points without an area", "point_sizes_example.mod": "points, which become balls",
}

def three(a):
    a = np.asarray(a)
    while a.ndim > 3 and a.shape[0] == 1: a = a[0]
    return a[None] if a.ndim == 2 else a

def unpacked(path):
    """A packed file, unpacked under the name within."""
    if path.suffix not in (".gz", ".bz2"): return path
    raw = (gzip if path.suffix == ".gz" else bz2).open(path).read()
    inner = TEMP / path.stem; inner.write_bytes(raw)
    return inner

def mrc(path):
    import mrcfile
    with mrcfile.open(path, permissive=True) as f:
        h, a = f.header, three(f.data)
        order = [int(h.maps), int(h.mapr), int(h.mapc)]
        if sorted(order) == [1, 2, 3]: a = np.transpose(a, [order.index(k) for k in (3, 2, 1)])
        return a.astype(np.float32) if a.dtype == np.float16 else a

def tiff(path):
    import tifffile
    with tifffile.TiffFile(path) as f:
        s = f.series[0]; a, axes = s.asarray(), s.axes
    if a.dtype == bool: a = a.astype(np.uint8)
    while "S" in axes or "C" in axes:  # the first channel
        k = axes.index("S" if "S" in axes else "C"); a = a.take(0, k); axes = axes[:k] + axes[k + 1:]
    return three(a)

def png(path):
    from PIL import Image
    i = Image.open(path); a = np.asarray(i)
    if a.dtype == bool: a = a.astype(np.uint8)
    return three(a if a.ndim == 2 else a[..., 0])

def hdf5(path):
    import h5py, hdf5plugin
    said = json.loads(subprocess.run([WW, "info", path, "--json"], capture_output=True, text=True).stdout or "{}")
    name = said.get("metadata", {}).get("dataset")
    if not h5py.is_hdf5(path): raise ValueError("no HDF5 for h5py")
    with h5py.File(path) as f:
        if name is None:
            for guess in ("exchange/data",):
                if guess in f: name = guess
        if name is None: raise ValueError("no dataset named")
        a = f[name][()]
        while a.ndim > 3: a = a[0]  # the first of several times
        return three(a)

def zarray(path):
    import zarr
    return three(zarr.open(path, mode="r")[:])

def txrm(path):
    from txrm2tiff.main import open_txrm
    with open_txrm(path) as f: return three(f.get_images())[:, ::-1]  # rows lie bottom up in the file

def imod(path):
    """Closed contours, filled where the middle of a pixel lies inside of what a contour winds around."""
    import imodmodel
    model = imodmodel.ImodModel.from_file(path); h = model.header
    out = np.zeros((h.zmax, h.ymax, h.xmax), np.uint16)
    y, x = np.mgrid[:h.ymax, :h.xmax] + 0.5
    for n, obj in enumerate(model.objects, 1):
        for contour in obj.contours:
            p = np.asarray(contour.points, float)
            if len(p) < 3: continue
            winding = np.zeros(x.shape, int)
            for (ax, ay, _), (bx, by, _) in zip(p, np.roll(p, -1, 0)):
                if ay != by: winding += np.sign(by - ay).astype(int) * (((ay <= y) != (by <= y)) & (ax + (y - ay) / (by - ay) * (bx - ax) <= x))
            out[round(p[0, 2])][winding != 0] = n
    return out

READERS = {".mod": imod, ".mrc": mrc, ".st": mrc, ".map": mrc, ".rec": mrc, ".tif": tiff, ".tiff": tiff, ".png": png, ".hdf5": hdf5, ".h5": hdf5, ".txrm": txrm, ".xrm": txrm}

def ours(path):
    out = TEMP / "ours.npy"; out.unlink(missing_ok=True)
    p = subprocess.run([WW, "convert", path, out], capture_output=True, text=True)
    if p.returncode == 0: return three(np.load(out)), ""
    return None, [l for l in p.stderr.splitlines() if l.startswith("error:")][-1:][0][7:] if "error:" in p.stderr else p.stderr[-200:]

def crc(a): return zlib.crc32(np.ascontiguousarray(a, "<f8").tobytes())

def line(path):
    name = str(path.relative_to(DATA))
    for end, reason in OUTSIDE.items():
        if name.endswith(end): return f"outside\t{name}\t{reason}"
    suffix = pathlib.Path(path.stem).suffix if path.suffix in (".gz", ".bz2") else path.suffix
    reader = zarray if path.is_dir() else READERS.get(suffix)
    if is_draft(path): return f"outside\t{name}\ta draft of Zarr 3 of before its specification"
    got, sentence = ours(path)
    if got is None:
        sentence = sentence.split(f" ({path}")[0]
        return f"refused\t{name}\t{'format not recognised' if sentence.startswith('format not recognised') else sentence}"
    try: want = reader(unpacked(path))
    except Exception as e: return f"DIFFERS\t{name}\tno independent reading: {type(e).__name__}: {str(e)[:100]}; ours {got.shape} {got.dtype} {crc(got)}"
    if want.shape == got.shape and (np.array_equal(want.astype("f8"), got.astype("f8"), equal_nan=True)):
        return f"equal\t{name}\t{','.join(map(str, got.shape))}\t{got.dtype}\t{crc(got)}"
    if "jpeg" in name.lower() or "jpg" in name.lower():
        if want.shape == got.shape and np.abs(want.astype("f8") - got.astype("f8")).max() <= 3:  # decoders of JPEG round otherwise
            return f"equal\t{name}\t{','.join(map(str, got.shape))}\t{got.dtype}\t{crc(got)}"
    return f"DIFFERS\t{name}\tindependent {want.shape} {want.dtype}, ours {got.shape} {got.dtype}"

def is_draft(path):
    said = path / "zarr.json"
    return path.is_dir() and said.is_file() and "spec/protocol/core" in said.read_text()

def units():
    def walk(folder):
        for p in sorted(folder.iterdir()):
            if is_draft(p): yield p
            elif p.is_dir() and any((p / n).exists() for n in (".zarray", "attributes.json")) : yield p
            elif p.is_dir(): yield from walk(p)
            elif p.name not in (".zgroup", ".zattrs"): yield p
    yield from walk(DATA)

for u in units(): print(line(u).replace(str(DATA), ""), flush=True)
