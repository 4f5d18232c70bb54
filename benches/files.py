"""Times reading and writing of files, side by side in one run: this program as a whole process, its start included,
beside the usual library inside a Python that runs already.

    python benches/files.py PROGRAM [--mib 192] [--rounds 7] [--only NAME] [--folder FOLDER]

needs numpy, mrcfile, tifffile, imagecodecs, h5py, hdf5plugin and zarr. Both sides read what was read before (it lies in
the cache of the system) and both write whole files: into a new name, and once more over the file that is there.
A line tells the quickest and the middle time of each side and how many times as fast as the library this program is.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import hdf5plugin  # noqa: F401  (filters of the HDF5 library)
import mrcfile
import numpy as np
import tifffile
import zarr


def cell(shape, dtype, seed=1):
    """A noisy picture of round things: it packs as measured values do, not as random ones or zeros."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.arange(n, dtype=np.float32) for n in shape)
    out = np.empty(shape, dtype)
    for k in range(shape[0]):
        plane = 900 + 300 * np.sin(y / 37)[:, None] * np.cos(x / 23)[None, :] * np.cos(z[k] / 19)
        plane = plane + rng.normal(0, 12, plane.shape).astype(np.float32)
        out[k] = plane / 3000 if np.issubdtype(dtype, np.floating) else plane
    return out


def write_mrc(path, array):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(array)


def write_h5(path, array):
    with h5py.File(path, "w") as file:
        chunk = (1, *array.shape[1:])
        file.create_dataset("data", data=array, chunks=chunk, compression="gzip", compression_opts=4, shuffle=True)


def read_h5(path):
    with h5py.File(path) as file:
        return file["data"][:]


def zarr_codec():
    return zarr.codecs.BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")


def write_zarr(path, array):
    shutil.rmtree(path, ignore_errors=True)
    group = zarr.create_group(path, zarr_format=3)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"],
                "datasets": [
                    {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0.03] * 3}]}
                ],
            }
        ],
    }
    into = group.create_array(
        "0", shape=array.shape, dtype=array.dtype, chunks=(64,) * 3, shards=(256,) * 3, compressors=[zarr_codec()]
    )
    into[:] = array


def read_zarr(path):
    return zarr.open_group(path, mode="r")["0"][:]


def tiff_planes(path, array, **options):
    with tifffile.TiffWriter(path) as tif:
        tif.write(array, metadata=None, photometric="minisblack", **options)


def cases(folder, mib):
    """Name, how its input is made, our two paths, and what the library does with the same two paths."""
    n = mib << 20
    cube = lambda size: max(round((n / size) ** (1 / 3) / 64), 1) * 64
    floats = lambda: cell((cube(4),) * 3, np.float32)
    words = lambda: cell((cube(2),) * 3, np.uint16)
    save = lambda read: lambda source, target: np.save(target, read(source))
    yield "MRC f32 to npy", "a.mrc", "npy", lambda p: write_mrc(p, floats()), save(mrcfile.read)
    yield "TIFF u16 to npy", "a.tif", "npy", lambda p: tiff_planes(p, words()), save(tifffile.imread)
    yield (
        "TIFF deflate+predictor to npy", "b.tif", "npy",
        lambda p: tiff_planes(p, words(), compression="zlib", predictor=True), save(tifffile.imread),
    )
    yield "HDF5 gzip+shuffle to npy", "a.h5", "npy", lambda p: write_h5(p, words()), save(read_h5)
    yield "Zarr blosc-zstd shards to npy", "a.zarr", "npy", lambda p: write_zarr(p, words()), save(read_zarr)
    yield (
        "npy to Zarr blosc-zstd shards", "w.npy", "zarr",
        lambda p: np.save(p, words()), lambda source, target: write_zarr(target, np.load(source)),
    )
    yield (
        "npy to TIFF u16", "w.npy", "tif",
        lambda p: np.save(p, words()), lambda source, target: tiff_planes(target, np.load(source)),
    )
    yield (
        "npy to MRC f32", "f.npy", "mrc",
        lambda p: np.save(p, floats()), lambda source, target: write_mrc(target, np.load(source)),
    )


def remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("program", type=pathlib.Path)
    asked.add_argument("--mib", type=int, default=192)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--only", default="")
    asked.add_argument("--folder", type=pathlib.Path, default=None, help="where files are made and kept")
    args = asked.parse_args()
    program = args.program.resolve()
    folder = args.folder or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    print(f"{'':32} {'ours s':>14} {'library s':>14}   times as fast: new file, replaced file")
    try:
        for name, source, ending, make, theirs in cases(folder, args.mib):
            if args.only.lower() not in name.lower():
                continue
            path = folder / source
            if not path.exists():
                make(path)
            ours_to, theirs_to = folder / f"ours.{ending}", folder / f"theirs.{ending}"
            convert = [program, "convert", path, ours_to, "--quiet"]
            runs = {
                "ours": (ours_to, lambda: subprocess.run(convert, check=True, capture_output=True)),
                "theirs": (theirs_to, lambda: theirs(path, theirs_to)),
            }
            ratios, times = [], {}
            for fresh in (True, False):
                seconds = {side: [] for side in runs}
                for turn in range(args.rounds + 1):
                    for side, (target, work) in runs.items():
                        if fresh:
                            remove(target)
                        taken = timed(work)
                        if turn > 0:
                            seconds[side].append(taken)
                middle = {side: statistics.median(taken) for side, taken in seconds.items()}
                ratios.append(middle["theirs"] / middle["ours"])
                times.setdefault("ours", (min(seconds["ours"]), middle["ours"]))
                times.setdefault("theirs", (min(seconds["theirs"]), middle["theirs"]))
            for target, _ in runs.values():
                remove(target)
            show = lambda pair: f"{pair[0]:6.3f} {pair[1]:7.3f}"
            print(f"{name:32} {show(times['ours'])} {show(times['theirs'])}   {ratios[0]:6.2f} {ratios[1]:6.2f}", flush=True)
    finally:
        if args.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
